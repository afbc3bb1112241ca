"""The state of cells as files: `results/.cells/KEY/` holds what is known of one request.

`cell.json` tells the request and the id of the record that answers it; `claim` who works on it;
`log` what was said meanwhile. There is no other book-keeping: a cell is done if its record is
there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from vitbench.records import Record, atomic, find_record
from vitbench.settings import plain
from vitbench.studies.freshness import mark_of
from vitbench.studies.lease import Holder, holder
from vitbench.studies.matrix import Cell, Study
from vitbench.studies.training_row import Training

CELLS = ".cells"
DOCUMENT = "cell.json"
LOG = "log"
Kind = Literal["done", "running", "stale", "failed", "missing"]
Work = Cell | Training


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of a cell or a training between two commands."""

    study: str = ""
    name: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    record: str = ""  # id of the record that answers the request
    mark: str = ""  # of the files at that time
    error: str = ""  # of the last try; empty where it succeeded
    command: str = ""  # that repeats the last try
    seconds: float = 0.0  # that it took


@dataclass(frozen=True, slots=True)
class State:
    """Where a cell or a training stands."""

    kind: Kind
    record: Record | None = None
    error: str = ""
    command: str = ""
    holder: Holder | None = None
    seconds: float = 0.0


def folder_of(results: Path, work: Work) -> Path:
    """Return the folder of a cell's or a training's state."""
    return results / CELLS / work.key


def read_kept(folder: Path) -> Kept:
    """Read what is kept of a cell; nothing where there is no document or a broken one."""
    try:
        found = json.loads((folder / DOCUMENT).read_text())
        return Kept(**{name: found[name] for name in Kept.__dataclass_fields__ if name in found})
    except (OSError, ValueError, TypeError):
        return Kept()


def keep(folder: Path, kept: Kept) -> None:
    """Write what is to be kept of a cell."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / DOCUMENT) as path:
        path.write_text(json.dumps(plain(asdict(kept)), indent=1) + "\n")


def state_of(results: Path, work: Work) -> State:
    """Return where a cell or a training stands, by what lies on the disk."""
    folder = folder_of(results, work)
    kept = read_kept(folder)
    if isinstance(work, Training):
        record, done = None, work.done
    else:
        record = record_of(results, work, kept)
        done = record is not None
    if done:
        return State("done", record, seconds=kept.seconds)
    who = holder(folder)
    if who is not None:
        return State("running" if who.alive else "stale", holder=who)
    if kept.error:
        return State("failed", error=kept.error, command=kept.command)
    return State("missing")


def works_of(study: Study) -> tuple[Work, ...]:
    """Return the trainings and the cells of a study."""
    return (*study.trainings, *study.cells)


def states_of(results: Path, study: Study) -> dict[Work, State]:
    """Return where every training and cell of a study stands."""
    return {work: state_of(results, work) for work in works_of(study)}


def record_of(results: Path, cell: Cell, kept: Kept | None = None) -> Record | None:
    """Return the record that answers a cell, if its files are still those of then."""
    kept = kept or read_kept(folder_of(results, cell))
    training = cell.row.training
    if not kept.record or (training is not None and not training.done):
        return None
    if kept.mark != mark_of(cell):
        return None
    return find_record(results, cell.column.protocol.name, kept.record)


def former(results: Path, study: str) -> Iterator[tuple[str, Kept]]:
    """Yield the key and what is kept of every cell that a study ever had."""
    for path in sorted((results / CELLS).glob(f"*/{DOCUMENT}")):
        kept = read_kept(path.parent)
        if kept.study == study:
            yield path.parent.name, kept
