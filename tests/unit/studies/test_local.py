"""Tasks in processes: order, deaths, and other commands at the same study."""

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.unit.reports.conftest import knn_record
from tests.unit.studies.conftest import TWO
from vitbench.engine.options import Reporter
from vitbench.errors import STOPPED_AFTER_SAVING
from vitbench.records import write_record
from vitbench.studies import processes
from vitbench.studies.cell_state import Kept, folder_of, keep, state_of
from vitbench.studies.freshness import mark_of
from vitbench.studies.lease import claimed
from vitbench.studies.local import Local, Slot
from vitbench.studies.matrix import Study
from vitbench.studies.read_study import read_study

TRACE = Path("trace")


def child(words: list[str]) -> int:
    """Do cells as a worker would, with a record out of the air; the first word says how."""
    behavior = words[0]
    end = words.index("--device")
    study = read_study(TWO, "two")
    for name in words[words.index("--cell") + 1 : end]:
        cell = next(cell for cell in study.cells if cell.name == name)
        with claimed(folder_of(Path("results"), cell)) as mine:
            if not mine or state_of(Path("results"), cell).kind == "done":
                continue
            with TRACE.open("a") as stream:
                stream.write(f"{name}\n")
            if behavior == "dies" and name == "one/retrieval":
                os.write(1, b"the last words\n")
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep({"slow": 0.2, "waits": 5}.get(behavior, 0))
            record = knn_record(cell.row.name, 50.0, protocol={"name": cell.column.protocol.name})
            write_record(record, Path("results"))
            kept = Kept("two", name, cell.request, record.id, mark_of(cell))
            keep(folder_of(Path("results"), cell), kept)
    return 0


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PRELOADED", [])


def local(study: Study, how: str, said: list[str], progress: Any = lambda *_: None) -> Local:
    reporter = Reporter(progress, said.append)
    return Local(study, Path("results"), child, [how], [Slot("cpu")], reporter)


def test_every_cell_is_done_once(two: Study, results: Path) -> None:
    said: list[str] = []
    assert local(two, "works", said).run() == 0
    assert sorted(TRACE.read_text().split()) == sorted(cell.name for cell in two.cells)
    assert {state_of(results, cell).kind for cell in two.cells} == {"done"}


def test_progress_counts_cells_as_they_are_done(two: Study, results: Path) -> None:
    told: list[tuple[Any, ...]] = []
    assert local(two, "slow", [], lambda *now: told.append(now)).run() == 0
    assert {(name, total, unit) for name, _, total, unit in told} == {("two", 4, "parts")}
    counts = [done for _, done, _, _ in told]
    assert counts == sorted(counts)
    assert {0, 4} < set(counts)  # within a task too


def test_a_process_that_dies_costs_its_cell_alone(two: Study, results: Path) -> None:
    said: list[str] = []
    assert local(two, "dies", said).run() == 2
    states = {cell.name: state_of(results, cell) for cell in two.cells}
    assert {name for name, state in states.items() if state.kind != "done"} == {"one/retrieval"}
    failed = states["one/retrieval"]
    assert failed.kind == "failed"
    assert failed.error == "the process was ended by signal 9; the last words"
    assert failed.command == "vitbench dies --cell 'one/retrieval'"
    TRACE.unlink()
    assert local(two, "works", said).run() == 0  # a failed cell is tried again, no other one
    assert TRACE.read_text().split() == ["one/retrieval"]


def test_two_commands_at_once_never_do_a_cell_twice(two: Study, results: Path) -> None:
    said: list[str] = []
    one = processes.start(_command, [], Path("log-one"))
    assert local(two, "slow", said).run() == 0
    one.join()
    assert one.exitcode == 0
    assert sorted(TRACE.read_text().split()) == sorted(cell.name for cell in two.cells)


def _command(_: list[str]) -> int:
    return local(read_study(TWO, "two"), "slow", []).run()


def test_a_process_that_is_being_started_when_the_signal_comes_is_ended_too(
    two: Study, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signalled(*arguments: Any) -> BaseProcess:
        process = processes.start(*arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr("vitbench.studies.local.start", signalled)
    assert local(two, "waits", []).run() == STOPPED_AFTER_SAVING
    assert "done" not in {state_of(results, cell).kind for cell in two.cells}
