"""A table for a terminal."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vitbench.reports import escape, format_scores, verdict_text
from vitbench.reports.formats import extra_columns, found, left_out
from vitbench.reports.leaderboard import Leaderboard
from vitbench.reports.table import Table
from vitbench.reports.verdict import Verdict

LINES = 60  # of a board; the other formats show all
NOTES = 10
LABEL = 40  # characters of a column's head
SEPARATOR = 3  # between two columns


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table with its head, in lines."""

    head: str
    cells: Sequence[Text]
    right: bool = True  # whether its texts end at one line

    @property
    def width(self) -> int:
        """Characters that it needs."""
        return max(len(text) for text in (*self.head.split("\n"), *map(str, self.cells)))


def show(table: Table, console: Console) -> None:
    """Print the verdict and every board, wide ones in several strips."""
    if table.verdict:
        _show_verdict(table.verdict, console)
    for board in table.boards:
        console.print(Text(escape.plain(board.title), style="bold"))
        for text in format_scores.remarks(board):
            console.print(Text(escape.plain(text), style="yellow"))
        rows = format_scores.write(board)
        names = [Text(_name(row), style=_style(row)) for row in rows[:LINES]]
        _print(console, names, _columns(board, rows))
        if len(rows) > LINES:
            console.print(Text(f"… {len(rows) - LINES:,} more lines (--format csv)", style="dim"))
        for text in found(board)[:NOTES]:
            console.print(Text(escape.plain(text)))
        console.print()
    notes = left_out(table)
    for text in notes[:NOTES]:
        console.print(Text(escape.plain(text), style="dim"))
    if len(notes) > NOTES:
        console.print(Text(f"… and {len(notes) - NOTES:,} more like these", style="dim"))


def _show_verdict(verdict: Verdict, console: Console) -> None:
    console.print(Text("Verdict", style="bold"))
    for one in verdict_text.headlines(verdict):
        told = Text(f"  {one.of}: ").append(escape.plain(one.said), style="bold")
        console.print(told.append(f" ({escape.plain(one.why)})"))
    heads, body = verdict_text.table(verdict)
    names = [Text(row[0]) for row in body]
    _print(
        console,
        names,
        [
            Column("\n".join(head.split()), [Text(row[place]) for row in body])
            for place, head in enumerate(heads)
            if place
        ],
    )
    for text in verdict_text.remarks(verdict):
        console.print(Text(f"  {escape.plain(text)}", style="dim"))
    console.print()


def _columns(board: Leaderboard, rows: Sequence[format_scores.Row]) -> list[Column]:
    """Return the scores of a board, and the words behind them."""
    shown = rows[:LINES]
    scores = [
        Column(_head(cell.column.label), [_score(row, place) for row in shown])
        for place, cell in enumerate(rows[0].cells)
    ]
    words = [
        Column(head, [Text(escape.plain(text)) for text in cells[:LINES]], right=False)
        for head, cells in extra_columns(board, rows).items()
    ]
    return [*scores, *words]


def _score(row: format_scores.Row, place: int) -> Text:
    best = " bold" if row.cells[place].best else ""
    return Text(row.cells[place].full, style=(_style(row) + best).strip())


def _style(row: format_scores.Row) -> str:
    return "italic cyan" if row.entry.published else ""


def _name(row: format_scores.Row) -> str:
    return format_scores.name(row.entry.name) + row.sign


def _head(label: str) -> str:
    """Write a column's head in two lines where it is long."""
    label = escape.plain(label, LABEL)
    longest = max(map(len, label.split()), default=0)
    return "\n".join(wrap(label, max(longest, len(label) // 2 + 2, 8)))


def _print(console: Console, names: Sequence[Text], columns: Sequence[Column]) -> None:
    """Print columns beside the names, as many at a time as there is room for.

    Names stand whole where one column fits beside them; else they turn over after a hyphen or
    underscore.
    """
    widest = max((column.width for column in columns), default=0)
    longest = max(map(len, names), default=0)
    room = max(console.width - widest - SEPARATOR - 1, console.width // 4)
    shown = [_turned_over(name, room) for name in names] if longest > room else list(names)
    left = console.width - min(longest, room) - 1
    start = 0
    while start < len(columns):
        end, used = start, 0
        while end < len(columns) and (
            end == start or used + columns[end].width + SEPARATOR <= left
        ):
            used += columns[end].width + SEPARATOR
            end += 1
        console.print(_grid(shown, columns[start:end]))
        start = end


def _turned_over(name: Text, room: int) -> Text:
    """Break a name after hyphens, underscores and spaces, so that no line is too long."""
    lines = [""]
    for part in re.findall(r"[^-_ ]*[-_ ]*", str(name)):
        if lines[-1] and len(lines[-1] + part) > room:
            lines.append("")
        lines[-1] += part
    return Text("\n".join(line.rstrip() for line in lines), style=name.style)


def _grid(names: Sequence[Text], columns: Sequence[Column]) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("checkpoint", overflow="fold")
    for column in columns:
        justify: Literal["right", "left"] = "right" if column.right else "left"
        grid.add_column(Text(column.head), justify=justify, no_wrap=True)
    for place, name in enumerate(names):
        grid.add_row(name, *(column.cells[place] for column in columns))
    return grid
