"""The leaderboard over all boards: who stands where, one column a board."""

from collections.abc import Mapping
from dataclasses import dataclass

from vitbench.reports import format_scores
from vitbench.reports.leaderboard import Column, Leaderboard
from vitbench.reports.table import Table

COLORS = 8  # that the style sheet has; further subjects share the last
AXES = 8  # of the radar
DRAWN = 6  # subjects that the radar shows
LINES = 300  # of the leaderboard and of each board


@dataclass(frozen=True, slots=True)
class Axis:
    """One direction of the radar: a board's primary score of each subject, 0 middle to 1 rim."""

    label: str
    span: str  # the scores that the middle and the rim stand for
    shares: Mapping[str, float]  # by subject


@dataclass(frozen=True, slots=True)
class Standing:
    """One subject on all boards."""

    name: str
    published: bool
    cells: tuple[format_scores.Cell | None, ...]  # one a board
    marks: tuple[str, ...]  # what is the matter with its runs


@dataclass(frozen=True, slots=True)
class Overview:
    """Every subject's primary scores."""

    boards: tuple[tuple[Leaderboard, Column], ...]  # those that rank
    standings: tuple[Standing, ...]
    hidden: int
    axes: tuple[Axis, ...]
    drawn: tuple[str, ...]  # subjects on the axes


def build_overview(table: Table) -> Overview:
    """Line up the subjects of all boards, best on the first board on top."""
    boards = tuple((board, board.primary) for board in table.boards)
    ranked = tuple((board, column) for board, column in boards if column is not None)
    rows = [{row.entry.name: row for row in format_scores.write(board)} for board, _ in ranked]
    places = [board.columns.index(column) for board, column in ranked]
    published = {name: row.entry.published for found in rows for name, row in found.items()}
    standings = [
        Standing(
            name,
            published[name],
            tuple(
                found[name].cells[place] if name in found else None
                for found, place in zip(rows, places, strict=True)
            ),
            tuple(dict.fromkeys(m for found in rows if name in found for m in found[name].marks)),
        )
        for name in published
    ]
    axes = _axes(ranked)
    return Overview(
        boards=ranked,
        standings=tuple(standings[:LINES]),
        hidden=max(0, len(standings) - LINES),
        axes=axes,
        drawn=tuple(dict.fromkeys(name for axis in axes for name in axis.shares)),
    )


def palette(table: Table) -> dict[str, int]:
    """Give each subject a color of its own while there are some, measured ones first."""
    lines = [line for board in table.boards for line in board.entries]
    names = dict.fromkeys(line.name for line in sorted(lines, key=lambda line: line.published))
    return {name: min(number, COLORS - 1) for number, name in enumerate(names)}


def _axes(boards: tuple[tuple[Leaderboard, Column], ...]) -> tuple[Axis, ...]:
    """Make an axis of each board with two subjects or more; the worst lies half way out."""
    axes = []
    for board, column in boards:
        values = {
            line.name: value
            for line in board.ranked()[:DRAWN]
            if (value := line.value(column.metric)) is not None and abs(value) < format_scores.HUGE
        }
        best, worst = max(values.values(), default=0.0), min(values.values(), default=0.0)
        middle = max(0.0, worst - (best - worst)) if worst > 0 else worst
        if len(values) > 1 and best > middle and column.higher_is_better:
            shares = {name: (value - middle) / (best - middle) for name, value in values.items()}
            ends = [format_scores.number(end, column.unit) for end in (middle, best)]
            span = f"{column.label}, {' to '.join(ends)}"
            axes.append(Axis(board.protocol.name, span, shares))
    return tuple(axes[:AXES])
