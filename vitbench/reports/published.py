"""Scores that others printed, as reference records that stand beside measured ones."""

import hashlib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

from vitbench.records import (
    Cost,
    DatasetInfo,
    Environment,
    ProtocolRef,
    Record,
    RecordedScore,
    Subject,
)

PRIMARY = {"ap_box", "miou", "jf_mean", "top1", "top1_k20", "positives_mean"}
COUNTS = {"positives_mean", "positives_std"}
NOWHERE = Environment(
    vitbench="", python="", platform="", packages={}, device="", precision="", processes=0
)


@cache
def published_records() -> tuple[Record, ...]:
    """Return the reference records that ship with vitbench, one for each row and protocol."""
    document = tomllib.loads(files("vitbench.reports").joinpath("published.toml").read_text())
    return tuple(
        _record(document, row, protocol)
        for row in document["rows"]
        for protocol in document["protocols"]
        if protocol in row
    )


def join_measured(published: Iterable[Record], measured: Iterable[Record]) -> list[Record]:
    """Put a published record into the column of the runs that followed its preset on its data.

    A run belongs to it with the same protocol and preset, on as many items of the same split and
    kind. Where no run does, the record keeps the column of its own table.
    """
    runs = {_place(record): record for record in measured}
    joined = []
    for record in published:
        run = runs.get(_place(record))
        joined.append(
            record if run is None else replace(record, protocol=run.protocol, dataset=run.dataset)
        )
    return joined


def _place(record: Record) -> tuple[object, ...]:
    data = record.dataset
    where = (data.kind, data.split, data.items) if data and data.items else (record.id,)
    return (record.protocol.name, record.protocol.preset, *where)


def _record(document: Mapping[str, Any], row: Mapping[str, Any], key: str) -> Record:
    protocol = document["protocols"][key]
    table = document["tables"][str(row["table"])]
    details = [row[name] for name in ("backbone", "pretrained_on") if name in row]
    name = " · ".join([row["name"], *details, table.split(",")[0]])
    return Record(
        id=hashlib.sha256(f"{name} {key}".encode()).hexdigest(),
        status="ok",
        source="published",
        citation=f"{table}; {document['source']}",
        subject=Subject(
            kind="ground-truth" if row["method"] == "ground-truth" else "checkpoint",
            name=name,
            sha256="",
            method=row["method"],
            arch=row.get("arch", ""),
        ),
        protocol=ProtocolRef(
            name=protocol["name"],
            version=0,
            spec_id=f"published:{key}",
            preset=protocol.get("presets", {}).get(row["method"], protocol["preset"]),
            settings={"as printed": protocol["said"]},
        ),
        dataset=DatasetInfo(**protocol["dataset"], fingerprint=""),
        seed=0,
        scores=tuple(
            RecordedScore(
                metric=metric,
                label=document["labels"][metric],
                value=value,
                unit="count" if metric in COUNTS else "%",
                higher_is_better=None if metric in COUNTS else True,
                primary=metric in PRIMARY,
                items=protocol["dataset"]["items"],
            )
            for metric, value in row[key].items()
        ),
        environment=NOWHERE,
        cost=Cost(seconds=0.0),
        started_at="",
    )
