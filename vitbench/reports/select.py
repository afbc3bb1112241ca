"""Which records a report shows: those of the names that are compared, each in its place."""

from collections.abc import Sequence

from vitbench.errors import UnknownName
from vitbench.records import Record
from vitbench.reports.clean import NAME, plain
from vitbench.reports.published import SEPARATOR


def select_measured(records: Sequence[Record], names: Sequence[str]) -> list[Record]:
    """Return the runs of the compared names in the order of the names; all where none is named.

    A name is that of a subject, else a method.
    """
    if not names:
        return list(records)
    chosen: dict[int, Record] = {}  # by identity: strangers' records may share an id
    for name in names:
        by_name = [record for record in records if record.subject.name == name]
        for record in by_name or [r for r in records if same(r.subject.method, name)]:
            chosen.setdefault(id(record), record)
    return list(chosen.values())


def select_published(records: Sequence[Record], names: Sequence[str], wanted: str) -> list[Record]:
    """Return the printed rows of the compared methods.

    Args:
        records: All reference records.
        names: The compared names, in order; those that are no printed method are passed over.
        wanted: Words that a row's table, name and paper must hold ("table 3 vit-ti"), "all",
            "none", or "" for the tables that show every compared method, else all.
    """
    by_name = {name: [r for r in records if is_of(r, name)] for name in names}
    rows = list({row.id: row for found in by_name.values() for row in found}.values())
    if wanted == "none":
        return []
    if wanted and wanted != "all":
        words = wanted.casefold().split()
        return [row for row in rows if all(word in describe(row).casefold() for word in words)]
    methods = {record.subject.method for record in records}
    tables = [{row.citation for row in found} for name, found in by_name.items() if name in methods]
    if not wanted and len(tables) > 1 and (common := set.intersection(*tables)):
        named = [name for name in names if name not in methods]
        return [r for r in rows if r.citation in common or any(is_of(r, name) for name in named)]
    return rows


def check_names(names: Sequence[str], measured: Sequence[Record], known: Sequence[Record]) -> None:
    """Refuse a compared name that no run, method or printed row has.

    Raises:
        UnknownName: With the names that there are.
    """
    there = {record.subject.name for record in measured}
    there |= {record.subject.method.casefold() for record in (*measured, *known)} - {""}
    there |= {record.subject.name.partition(SEPARATOR)[0] for record in known}
    for name in names:
        if name not in there and name.casefold() not in there:
            shown = [plain(text, NAME) for text in there]
            raise UnknownName(
                "checkpoint or method", name, shown, hint="vitbench report lists every run"
            )


def is_of(printed: Record, name: str) -> bool:
    """Tell whether a printed row is of a method, or of a manifest of that name."""
    return same(printed.subject.method, name) or printed.subject.name.startswith(f"{name} · ")


def describe(record: Record) -> str:
    """Return the words by which a printed row can be chosen."""
    return f"{record.subject.name} {record.subject.arch} {record.citation}"


def same(method: str, name: str) -> bool:
    """Tell whether a name means a method, whatever the case."""
    return method.casefold() == name.casefold()
