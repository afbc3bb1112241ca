"""A table for a terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vitbench.reports import clean
from vitbench.reports.boards import Board, Column, Line
from vitbench.reports.cells import cell, gap, remarks
from vitbench.reports.formats import found, left_out
from vitbench.reports.table import Table

LINES = 60  # of a board; the other formats show all
NOTES = 10
NAME = 44  # characters of a name
SEPARATOR = 3  # between two columns
EDGES = 3 * SEPARATOR + len("published")


def show(table: Table, console: Console) -> None:
    """Print every board, wide ones in several strips."""
    for board in table.boards:
        console.print(Text(clean.plain(board.title), style="bold"))
        for text in remarks(board):
            console.print(Text(clean.plain(text), style="yellow"))
        lines = board.ranked()
        for columns in _strips(board, lines[:LINES], console.width):
            console.print(_grid(board, lines[:LINES], columns))
        if len(lines) > LINES:
            console.print(Text(f"… {len(lines) - LINES:,} more lines (--format csv)", style="dim"))
        for text in found(board)[:NOTES]:
            console.print(Text(clean.plain(text)))
        console.print()
    notes = left_out(table)
    for text in notes[:NOTES]:
        console.print(Text(clean.plain(text), style="dim"))
    if len(notes) > NOTES:
        console.print(Text(f"… and {len(notes) - NOTES:,} more like these", style="dim"))


def _grid(board: Board, lines: Sequence[Line], columns: Sequence[Column]) -> Grid:
    gaps = [gap(board, line) for line in lines]
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("checkpoint", overflow="fold")
    for column in columns:
        grid.add_column(Text(clean.plain(column.label, 24)), justify="right", no_wrap=True)
    grid.add_column("source", no_wrap=True)
    if any(gaps):
        grid.add_column("gap", no_wrap=True)
    for line, difference in zip(lines, gaps, strict=True):
        style = "italic cyan" if line.published else ""
        cells = [Text(clean.plain(line.name, NAME), style=style)]
        for column in columns:
            value = line.value(column.metric)
            best = " bold" if value is not None and value == board.best(column) else ""
            cells.append(Text(cell(board, line, column), style=(style + best).strip()))
        cells.append(Text(line.record.source, style=style or "dim"))
        grid.add_row(*cells, *([Text(difference)] if any(gaps) else []))
    return grid


def _strips(board: Board, lines: Sequence[Line], width: int) -> list[list[Column]]:
    """Cut the columns of a board into groups that fit the width, one at least in each."""
    names = [len(clean.plain(line.name, NAME)) for line in lines]
    gaps = [len(gap(board, line)) for line in lines]
    room = width - min(max(names, default=0), width // 3) - max(gaps, default=0) - EDGES
    strips: list[list[Column]] = [[]]
    used = 0
    for column in board.columns:
        need = SEPARATOR + max(
            [
                len(clean.plain(column.label, 24)),
                *(len(cell(board, line, column)) for line in lines),
            ]
        )
        if strips[-1] and used + need > room:
            strips.append([])
            used = 0
        strips[-1].append(column)
        used += need
    return strips
