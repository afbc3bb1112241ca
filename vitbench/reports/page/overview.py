"""The leaderboard over all boards: who stands where, one column a board."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from vitbench.reports import format_scores
from vitbench.reports.families import is_floor
from vitbench.reports.leaderboard import Column, Entry, Leaderboard
from vitbench.reports.table import Table

Kind = Literal["measured", "published", "floor", "truth"]
KINDS: Final[tuple[Kind, ...]] = ("measured", "published", "floor", "truth")  # from top to bottom
COLORS = 8  # that the style sheet has; further subjects share the last
LINES = 300  # of the leaderboard and of each board


@dataclass(frozen=True, slots=True)
class Standing:
    """One subject on all boards."""

    name: str
    kind: Kind
    cells: tuple[format_scores.Cell | None, ...]  # one a board
    marks: tuple[str, ...]  # what is the matter with its runs


@dataclass(frozen=True, slots=True)
class Overview:
    """Every subject's primary scores."""

    boards: tuple[tuple[Leaderboard, Column], ...]  # those that rank
    standings: tuple[Standing, ...]
    hidden: int


def build_overview(table: Table) -> Overview:
    """Line up the subjects of all boards: the verdict's order, printed rows, reference lines."""
    boards = tuple((board, board.primary) for board in table.boards)
    ranked = tuple(
        sorted(
            ((board, column) for board, column in boards if column is not None),
            key=lambda pair: all(entry.published for entry in pair[0].entries),
        )
    )
    rows = [{row.entry.name: row for row in format_scores.write(board)} for board, _ in ranked]
    places = [board.columns.index(column) for board, column in ranked]
    kinds = {name: kind_of(row.entry) for found in rows for name, row in found.items()}
    standings = [
        Standing(
            name,
            kinds[name],
            tuple(
                found[name].cells[place] if name in found else None
                for found, place in zip(rows, places, strict=True)
            ),
            tuple(dict.fromkeys(m for found in rows if name in found for m in found[name].marks)),
        )
        for name in sorted(kinds, key=_order(table, kinds))
    ]
    return Overview(
        boards=ranked,
        standings=tuple(standings[:LINES]),
        hidden=max(0, len(standings) - LINES),
    )


def kind_of(entry: Entry) -> Kind:
    """Tell a measured run from a printed row and from the lines of reference."""
    subject = entry.record.subject
    if subject.kind == "ground-truth":
        return "truth"
    if entry.published:
        return "published"
    return "floor" if is_floor(subject) else "measured"


def _order(table: Table, kinds: Mapping[str, Kind]) -> Callable[[str], tuple[int, int]]:
    standings = table.verdict.overall.standings if table.verdict else ()
    places = {one.name: place for place, one in enumerate(standings)}
    return lambda name: (KINDS.index(kinds[name]), places.get(name, len(places)))


def palette(table: Table) -> dict[str, int]:
    """Give each subject a color of its own while there are some, measured ones first."""
    lines = [line for board in table.boards for line in board.entries]
    names = dict.fromkeys(line.name for line in sorted(lines, key=lambda line: line.published))
    return {name: min(number, COLORS - 1) for number, name in enumerate(names)}
