"""Studies in an empty folder, and records that answer their cells."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.reports.conftest import knn_record
from vitbench.records import Record, write_record
from vitbench.studies.cell_state import Kept, folder_of, keep
from vitbench.studies.freshness import mark_of
from vitbench.studies.matrix import Cell, Study
from vitbench.studies.read_study import read_study

TWO = """
title = "Two floors"
[rows.one]
checkpoint = "random:vit_micro_patch8_64"
[rows.other]
checkpoint = "random:vit_micro_patch8_64?seed=1"
[columns.knn]
data = "synthetic"
[columns.retrieval]
on = "retrieval@classes"
data = "synthetic"
"""
Answer = Callable[..., Record]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results folder of an empty working folder."""
    monkeypatch.chdir(tmp_path)
    return Path("results")


@pytest.fixture
def two() -> Study:
    """Return a study of two rows and two columns."""
    return read_study(TWO, "two")


@pytest.fixture
def answer(results: Path) -> Answer:
    """Return a function that leaves the record of a cell, as a worker does."""

    def leave(cell: Cell, value: float = 50.0, items: Any = None, **changes: Any) -> Record:
        record = knn_record(cell.row.name, value, **changes)
        if items is not None:
            record = replace(record, items=f"{record.subject.name}.{record.id[:8]}.items.npz")
        record = replace(record, protocol=replace(record.protocol, name=cell.column.protocol.name))
        write_record(record, results, items)
        kept = Kept("two", cell.name, cell.request, record.id, mark_of(cell), seconds=2.0)
        keep(folder_of(results, cell), kept)
        return record

    return leave
