"""`vitbench list [KIND]`: components and plug-ins, datasets, printed rows. Imports no torch."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from vitbench.data.overview import seen_in
from vitbench.errors import UnknownName
from vitbench.models.manifest import find_manifest, manifest_names
from vitbench.records import Record
from vitbench.registry import GROUPS, Registry
from vitbench.reports.published import published_records, row_id

KINDS = (*GROUPS, "datasets", "published")


def run(arguments: list[str]) -> int:
    """Print the names of each kind asked for, or of all kinds."""
    if arguments and arguments[0] in {"-h", "--help"}:
        print(f"usage: vitbench list [{'|'.join(KINDS)}]")
        return 0
    for kind in arguments or KINDS:
        if kind not in KINDS:
            raise UnknownName("list of", kind, KINDS)
        print(f"{kind}:")
        for text in _lines(kind):
            print(f"  {text}")
    return 0


def _lines(kind: str) -> list[str]:
    if kind == "checkpoints":
        manifests = [find_manifest(name) for name in manifest_names()]
        return [f"{m.name:24} {m.method:12} {m.arch:28} {m.license}" for m in manifests]
    if kind == "datasets":
        return ["synthetic                built in, drawn on first use", *_folders()]
    if kind == "published":
        return _printed_rows()
    registry: Registry[object] = Registry(kind, GROUPS[kind], lambda found, _: found)
    for problem in registry.problems():
        print(f"warning: {problem}", file=sys.stderr)
    return [f"{entry.name:24} {entry.distribution}" for entry in registry.entries()]


def _printed_rows() -> list[str]:
    """Log of each row that others printed its id, name, place, and scores."""
    rows: dict[str, list[Record]] = {}
    for record in published_records():
        rows.setdefault(row_id(record), []).append(record)
    width = max(map(len, rows))
    return [
        f"{name:{width}}  {_scores(records)}  {records[0].subject.name}"
        for name, records in rows.items()
    ]


def _scores(records: Sequence[Record]) -> str:
    """Write the leading score of each protocol of a row."""
    leading = [(record.protocol.name, record.primary()) for record in records]
    return ", ".join(
        f"{name} {score.label} {score.value:g}"
        for name, score in leading
        if score and score.value is not None
    )


def _folders() -> list[str]:
    """Log of each folder of data what kind it is, how many items each split has, what it lacks."""
    base = os.environ.get("VITBENCH_DATA", "")
    if not base or not Path(base).is_dir():
        return []
    return [
        f"{path.name:24} {'; '.join(seen_in(path)) or 'no layout that is known'}"
        for path in sorted(Path(base).iterdir())
        if path.is_dir()
    ]
