"""Select the records that a report shows, in the order of the compared names."""

import re
from collections.abc import Callable, Sequence

from vitbench.errors import UnknownName
from vitbench.records import Record, stem
from vitbench.reports import marks
from vitbench.reports.escape import NAME, plain
from vitbench.reports.published import SEPARATOR, row_id

SHORTEST_ID = 8  # characters of a record's id that choose it
LETTER = r"[\w+=-]"  # what a word of a printed row is made of; "1" is no word of "patch16"


def select_measured(records: Sequence[Record], names: Sequence[str]) -> list[Record]:
    """Return the runs of the compared names in the order of the names; all where none is named."""
    if not names:
        return list(records)
    chosen: dict[int, Record] = {}  # by identity: strangers' records may share an id
    for name in names:
        for record in runs_of(records, name):
            chosen.setdefault(id(record), record)
    return list(chosen.values())


def runs_of(records: Sequence[Record], name: str) -> list[Record]:
    """Return the runs that a name means: a run's own name comes before a method's.

    In this order: a name or other name of the subject, the file's or the record's id; the same
    whatever the case; the method. The first that is anybody's decides.
    """
    means: tuple[Callable[[Record], bool], ...] = (
        lambda record: is_named(record, name),
        lambda record: any(same(own, name) for own in marks.names(record.subject)),
        lambda record: same(record.subject.method, name),
    )
    found = ([record for record in records if meant(record)] for meant in means)
    return next(filter(None, found), [])


def is_named(record: Record, name: str) -> bool:
    """Tell whether a name is one of a run's names, `NAME.ID8`, or the start of its record's id."""
    by_id = len(name) >= SHORTEST_ID and record.id.startswith(name)
    return name in marks.names(record.subject) or name == stem(record) or by_id


def select_published(
    records: Sequence[Record], names: Sequence[str], wanted: str, measured: Sequence[Record] = ()
) -> list[Record]:
    """Return the printed rows to show.

    Args:
        records: All reference records.
        names: The compared names, in order; those that are no printed method are passed over.
        wanted: "all" (of the compared names, where there are any) or "none"; ids of rows, such as
            `table3/selfpatch`; words that a row's name, method and paper must hold, such as
            "table 3 vit-ti"; or "" for the tables that show every compared method, else all.
        measured: The runs; without `wanted`, the name of a run does not bring a method's rows.

    Raises:
        UnknownName: No printed row is meant by `wanted`.
    """
    if wanted == "none":
        return []
    if wanted and wanted != "all":
        return _asked_for(records, names, wanted)
    if wanted and not names:
        return list(records)
    if not wanted:
        names = [name for name in names if not any(_is_run(record, name) for record in measured)]
    by_name = {name: [r for r in records if is_of(r, name)] for name in names}
    rows = list({row.id: row for found in by_name.values() for row in found}.values())
    methods = {record.subject.method for record in records}
    tables = [{row.citation for row in found} for name, found in by_name.items() if name in methods]
    if not wanted and len(tables) > 1 and (common := set.intersection(*tables)):
        named = [name for name in names if name not in methods]
        return [r for r in rows if r.citation in common or any(is_of(r, name) for name in named)]
    return rows


def _asked_for(records: Sequence[Record], names: Sequence[str], wanted: str) -> list[Record]:
    """Return the rows of an id or of words; words choose among compared methods where there are."""
    ids = wanted.casefold().split()
    by_id = [[record for record in records if _has_id(record, word)] for word in ids]
    if all(by_id):
        return list({record.id: record for found in by_id for record in found}.values())
    rows = [record for record in records if has_words(record, wanted)]
    if not rows:
        known = {row_id(record) for record in records}
        raise UnknownName("printed row", wanted, known, first=known, hint="vitbench list published")
    compared = [record for record in records if any(is_of(record, name) for name in names)]
    return [row for row in rows if row in compared] if compared else rows


def _has_id(record: Record, wanted: str) -> bool:
    return "/" in wanted and f"{record.id.casefold()}/".startswith(f"{wanted}/")


def has_words(record: Record, wanted: str) -> bool:
    """Tell whether a printed row holds every word, as a whole word; `table N` is one word."""
    text = wanted.casefold()
    tables = re.findall(r"\btables?[ -]?(\w+)", text)
    if tables and record.id.partition("/")[0] not in {f"table{number}" for number in tables}:
        return False
    words = re.sub(r"\btables?[ -]?(\w+)", " ", text).split()
    held = describe(record).casefold()
    return all(re.search(rf"(?<!{LETTER}){re.escape(w)}(?!{LETTER})", held) for w in words)


def check_names(names: Sequence[str], measured: Sequence[Record], known: Sequence[Record]) -> None:
    """Refuse a compared name that no run, method or printed row has.

    Raises:
        UnknownName: With the names that there are: one's own runs first, the nearest on top.
    """
    own = {name for record in measured for name in marks.names(record.subject)}
    others = {record.subject.method.casefold() for record in (*measured, *known)} - {""}
    others |= {name for name in map(row_id, known) if "/" not in name}  # manifests
    for name in names:
        if not runs_of(measured, name) and not any(is_of(printed, name) for printed in known):
            raise UnknownName(
                "checkpoint or method",
                plain(name, NAME),
                {plain(text, NAME) for text in others},
                first={plain(text, NAME) for text in own},
                hint="vitbench report lists every run",
            )


def is_of(printed: Record, name: str) -> bool:
    """Tell whether a printed row is of a method, or of a manifest of that name."""
    own = printed.subject.name.partition(SEPARATOR)[0]
    return same(printed.subject.method, name) or same(own, name)


def describe(record: Record) -> str:
    """Return the words by which a printed row can be chosen."""
    subject = record.subject
    return f"{subject.name} {subject.method} {subject.arch} {record.citation} {row_id(record)}"


def _is_run(record: Record, name: str) -> bool:
    return any(same(own, name) for own in marks.names(record.subject))


def same(method: str, name: str) -> bool:
    """Tell whether a name means a method, whatever the case."""
    return method.casefold() == name.casefold()
