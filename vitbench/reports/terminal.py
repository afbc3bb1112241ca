"""A table for a terminal."""

from collections.abc import Sequence
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vitbench.reports import escape, format_scores
from vitbench.reports.formats import found, left_out
from vitbench.reports.table import Table

LINES = 60  # of a board; the other formats show all
NOTES = 10
NAME = 44  # characters of a name
LABEL = 40  # and of a column
SEPARATOR = 3  # between two columns
EDGES = 3 * SEPARATOR + len("published")


def show(table: Table, console: Console) -> None:
    """Print every board, wide ones in several strips."""
    for board in table.boards:
        console.print(Text(escape.plain(board.title), style="bold"))
        for text in format_scores.remarks(board):
            console.print(Text(escape.plain(text), style="yellow"))
        rows = format_scores.write(board)
        for strip in _strips(rows[:LINES], console.width):
            console.print(_grid(rows[:LINES], strip))
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


def _grid(rows: Sequence[format_scores.Row], strip: range) -> Grid:
    """Lay out some columns of a board."""
    gaps = any(row.gap for row in rows)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("checkpoint", overflow="fold")
    for index in strip:
        grid.add_column(Text(_label(rows[0].cells[index])), justify="right", no_wrap=True)
    grid.add_column("source", no_wrap=True)
    if gaps:
        grid.add_column("gap", no_wrap=True)
    for row in rows:
        style = "italic cyan" if row.entry.published else ""
        shown = [Text(escape.plain(row.entry.name, NAME) + row.sign, style=style)]
        for index in strip:
            best = " bold" if row.cells[index].best else ""
            shown.append(Text(row.cells[index].full, style=(style + best).strip()))
        shown.append(Text(row.entry.record.source, style=style or "dim"))
        grid.add_row(*shown, *([Text(escape.plain(row.gap))] if gaps else []))
    return grid


def _label(cell: format_scores.Cell) -> str:
    """Write a column's label in two lines where it is long."""
    label = escape.plain(cell.column.label, LABEL)
    longest = max(map(len, label.split()), default=0)
    return "\n".join(wrap(label, max(longest, len(label) // 2 + 2, 8)))


def _strips(rows: Sequence[format_scores.Row], width: int) -> list[range]:
    """Cut the columns of a board into groups that fit the width, one at least in each."""
    name = max(len(escape.plain(row.entry.name, NAME) + row.sign) for row in rows)
    room = width - min(name, width // 3) - max(len(row.gap) for row in rows) - EDGES
    strips, start, used = [], 0, 0
    for index, cell in enumerate(rows[0].cells):
        texts = [*_label(cell).split("\n"), *(row.cells[index].full for row in rows)]
        need = SEPARATOR + max(map(len, texts))
        if index > start and used + need > room:
            strips.append(range(start, index))
            start, used = index, 0
        used += need
    return [*strips, range(start, len(rows[0].cells))]
