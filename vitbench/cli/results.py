"""`vitbench results ls|rm`: the records of a results folder, and their removal."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.cli.confirm import confirm
from vitbench.cli.flags import parse
from vitbench.errors import RecordError, SettingError, UnknownName
from vitbench.records import Record, RecordFiles, Unreadable, read_files, stem
from vitbench.reports import escape, marks
from vitbench.reports.select import is_named
from vitbench.settings import setting

VERBS = ("ls", "rm")
USAGE = """usage: vitbench results ls [--results DIR]
       vitbench results rm NAME|ID… [--results DIR] [--yes]

  ls  list the records of a results folder: id, size, checkpoint, protocol, data, score
  rm  remove records with their per-item scores and the files that belong to them

example:
  vitbench results rm 3f2a91c4"""

Found = tuple[Path, Record | Unreadable]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The folder of the records."""

    results: Path = setting(Path("results"), help="folder that holds the records")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """Which records to remove."""

    names: tuple[str, ...] = setting(
        (),
        help="which records to remove: names of checkpoints, ids of records (8 digits or more), or"
        " names of record files",
    )
    yes: bool = setting(False, help="remove without asking first")


def run(arguments: list[str]) -> int:
    """List the records, or remove some with the files that belong to them."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        print(USAGE)
        return 0 if arguments else 2
    if arguments[0] not in VERBS:
        raise UnknownName("results command", arguments[0], VERBS)
    prog = f"vitbench results {arguments[0]}"
    if arguments[0] == "ls":
        (place,) = parse(
            {"flags": Place}, arguments[1:], prog=prog, description="List the records."
        )
        print(
            "\n".join(_line(*one) for one in _records(place.results))
            or f"no records in {place.results}"
        )
        return 0
    removal, place = parse(
        {"removal": Removal, "place": Place},
        arguments[1:],
        prog=prog,
        description="Remove records with their per-item scores and the files that belong to them.",
        positional=("names",),
    )
    return _remove(removal, _records(place.results))


def _records(folder: Path) -> list[Found]:
    if not folder.is_dir():
        raise RecordError(f"no results folder {str(folder)!r}.", hint="--results DIR")
    return list(read_files(folder))


def _remove(removal: Removal, there: Sequence[Found]) -> int:
    if not removal.names:
        raise SettingError(["no record is named"], hint="vitbench results ls")
    records = {path: record for path, record in there if isinstance(record, Record)}
    chosen: dict[Path, Record] = {}
    for name in removal.names:
        found = {p: r for p, r in records.items() if name in {p.name, p.stem} or is_named(r, name)}
        if not found:
            known = {escape.plain(record.subject.name, escape.NAME) for record in records.values()}
            raise UnknownName("record", name, known, first=known, hint="vitbench results ls")
        chosen |= found
    lines = [_line(path, record) for path, record in chosen.items()]
    if not confirm(lines, f"Remove these {len(lines):,} records?", yes=removal.yes):
        print("nothing was removed")
        return 0
    for path, record in chosen.items():
        RecordFiles(path, stem(record)).remove()
    print(f"removed {len(chosen):,} records")
    return 0


def _line(path: Path, record: Record | Unreadable) -> str:
    """Return checkpoint, score and size of a record as one line, or why a file is no record."""
    if isinstance(record, Unreadable):
        return escape.plain(f"{path.name}: no record: {record.reason}")
    data, score = record.dataset, record.primary()
    on = f"{data.name}/{data.split}, {marks.size(data)}" if data else ""
    value = score.value if score else None
    scored = f"{score.label} {value:.2f}{score.unit}" if score and value is not None else ""
    names = " = ".join(marks.names(record.subject))
    told = (names, record.protocol.name, on, scored, *marks.run_marks(record))
    size = RecordFiles(path, stem(record)).size_bytes / 2**20
    return escape.plain(f"{record.id[:8]}  {size:8.1f} MB  {' · '.join(filter(None, told))}")
