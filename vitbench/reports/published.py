"""Scores that others printed, as reference records that stand beside measured ones."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import Any

from vitbench.models.manifest import Manifest, PublishedScore, find_manifest, manifest_names
from vitbench.records import (
    Cost,
    DatasetInfo,
    Environment,
    ProtocolRef,
    Record,
    RecordedScore,
    Subject,
    safe_name,
)
from vitbench.reports.marks import BUILT_IN

PRIMARY = {"ap_box", "miou", "jf_mean", "top1", "top1_k20", "positives_mean"}
COUNTS = {"positives_mean", "positives_std"}
METERS = {"rmse"}
UNKNOWN = {"name": "as printed", "split": "val", "kind": "classification", "items": 0}
NOWHERE = Environment(
    vitbench="", python="", platform="", packages={}, device="", precision="", processes=0
)
_TABLE = re.compile(r"table\d+$|appendix-[a-z]$")
SEPARATOR = " · "  # of the words that make a printed row's name


@cache
def published_records() -> tuple[Record, ...]:
    """Return the reference records that ship with vitbench: printed tables, then manifests."""
    document = tomllib.loads(files("vitbench.reports").joinpath("published.toml").read_text())
    tables = [
        _of_row(document, row, key)
        for row in document["rows"]
        for key in document["protocols"]
        if key in row
    ]
    manifests = [find_manifest(name) for name in manifest_names()]
    return (*tables, *(record for one in manifests for record in _of_manifest(document, one)))


def row_id(printed: Record) -> str:
    """Return the id of the printed row that a reference record stands in: `table3/selfpatch`.

    A record's own id goes on with its protocol: `table3/selfpatch/davis`. Rows that stand in a
    manifest have the manifest's name.
    """
    parts = printed.id.split("/")
    return "/".join(parts[:2] if _TABLE.match(parts[0]) else parts[:1])


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


def same_place(measured: Record, printed: Record) -> bool:
    """Tell whether a run followed the preset of a printed score, on as many of the same items."""
    return _place(measured) == _place(printed)


def _place(record: Record) -> tuple[object, ...]:
    data = record.dataset
    known = data and data.items and data.name != BUILT_IN  # nobody printed scores of that
    where = (data.kind, data.split, data.items) if data and known else (record.id,)
    return (record.protocol.name, record.protocol.preset, *where)


def _of_row(document: Mapping[str, Any], row: Mapping[str, Any], key: str) -> Record:
    """Make the record of one row of a printed table, on one of its protocols."""
    protocol = document["protocols"][key]
    table = document["tables"][str(row["table"])]
    details = [row[name] for name in ("backbone", "pretrained_on") if name in row]
    return _record(
        f"{row['id']}/{key}",
        Subject(
            kind="ground-truth" if row["method"] == "ground-truth" else "checkpoint",
            name=SEPARATOR.join([row["name"], *details, table.split(",")[0]]),
            sha256="",
            method=row["method"],
            arch=row.get("arch", ""),
        ),
        f"{table}; {document['source']}",
        replace(
            _protocol(document, key),
            preset=protocol.get("presets", {}).get(row["method"], protocol["preset"]),
        ),
        protocol["dataset"],
        row[key],
        document["labels"],
    )


def _of_manifest(document: Mapping[str, Any], manifest: Manifest) -> Iterator[Record]:
    """Make a record of each protocol that a manifest has published scores of."""
    subject = Subject(
        kind="checkpoint",
        name=f"{manifest.name} · as printed",
        sha256="",
        method=manifest.method,
        arch=manifest.arch,
    )
    for (name, setup, note), group in groupby(
        sorted(manifest.published, key=_belongs), key=_belongs
    ):
        scores = list(group)
        key = setup or document["manifests"].get(name, "")
        known = document["protocols"].get(key, {"dataset": UNKNOWN})
        protocol = ProtocolRef(
            name=name, version=0, spec_id=f"published:{note}", settings={"as printed": note}
        )
        yield _record(
            "/".join(filter(None, (manifest.name, name, setup, safe_name(note) if note else ""))),
            subject,
            f"{scores[0].source}; {manifest.source}",
            protocol if note or not key else _protocol(document, key),
            known["dataset"],
            {score.metric: score.value for score in scores},
            document["labels"],
        )


def _belongs(score: PublishedScore) -> tuple[str, str, str]:
    return score.protocol, score.setup, score.note


def _protocol(document: Mapping[str, Any], key: str) -> ProtocolRef:
    protocol = document["protocols"][key]
    return ProtocolRef(
        name=protocol["name"],
        version=0,
        spec_id=f"published:{key}",
        preset=protocol["preset"],
        settings={"as printed": protocol["said"]},
    )


def _record(
    identity: str,
    subject: Subject,
    citation: str,
    protocol: ProtocolRef,
    dataset: Mapping[str, Any],
    scores: Mapping[str, float],
    labels: Mapping[str, str],
) -> Record:
    primary = next((metric for metric in scores if metric in PRIMARY), next(iter(scores)))
    return Record(
        id=identity,
        status="ok",
        source="published",
        citation=citation,
        subject=subject,
        protocol=protocol,
        dataset=DatasetInfo(**dataset, fingerprint=""),
        seed=0,
        scores=tuple(
            RecordedScore(
                metric=metric,
                label=labels.get(metric, metric),
                value=value,
                unit="count" if metric in COUNTS else "" if metric in METERS else "%",
                higher_is_better=None if metric in COUNTS else metric not in METERS,
                primary=metric == primary,
                items=dataset["items"],
            )
            for metric, value in scores.items()
        ),
        environment=NOWHERE,
        cost=Cost(seconds=0.0),
        started_at="",
    )
