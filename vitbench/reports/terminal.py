"""A table for a terminal."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from vitbench.reports import escape, format_scores, verdict_text
from vitbench.reports.formats import extra_columns, found, left_out
from vitbench.reports.table import Table
from vitbench.reports.verdict import Verdict

LINES = 60  # of a board; the other formats show all
NOTES = 10
LABEL = 40  # characters of a column's head
SEPARATOR = 3  # between two columns
NARROWEST = 24  # characters of a name that stay on one line

Extras = Mapping[str, Sequence[str]]


def show(table: Table, console: Console) -> None:
    """Print the verdict and every board, wide ones in several strips."""
    if table.verdict:
        _show_verdict(table.verdict, console)
    for board in table.boards:
        console.print(Text(escape.plain(board.title), style="bold"))
        for text in format_scores.remarks(board):
            console.print(Text(escape.plain(text), style="yellow"))
        rows = format_scores.write(board)
        extras = extra_columns(board, rows)
        for strip in _strips(rows[:LINES], extras, console.width):
            console.print(_grid(rows[:LINES], extras, strip, console.width))
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
    room = console.width - _name_width([row[0] for row in body], console.width)
    start = 1
    while start < len(heads):  # as many columns at a time as there is room for
        end, used = start, 0
        while end < len(heads):
            need = SEPARATOR + max(len(row[end]) for row in [_in_lines(heads), *body])
            if end > start and used + need > room:
                break
            end, used = end + 1, used + need
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
        grid.add_column(heads[0], overflow="fold")
        for head in heads[start:end]:
            grid.add_column("\n".join(head.split()), justify="right", no_wrap=True)
        for row in body:
            grid.add_row(*(Text(cell) for cell in (row[0], *row[start:end])))
        console.print(grid)
        start = end
    for text in verdict_text.remarks(verdict):
        console.print(Text(f"  {escape.plain(text)}", style="dim"))
    console.print()


def _in_lines(heads: Sequence[str]) -> list[str]:
    return [max(head.split(), key=len) for head in heads]


def _grid(rows: Sequence[format_scores.Row], extras: Extras, strip: range, width: int) -> Grid:
    """Lay out some columns of a board; the words behind the scores stand in the first strip."""
    told = extras if strip.start == 0 else {}
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column("checkpoint", overflow="fold", min_width=min(NARROWEST, width // 3))
    for index in strip:
        grid.add_column(Text(_label(rows[0].cells[index])), justify="right", no_wrap=True)
    for head in told:
        grid.add_column(Text(_head(head)), no_wrap=True)
    for place, row in enumerate(rows):
        style = "italic cyan" if row.entry.published else ""
        shown = [Text(_name(row), style=style)]
        for index in strip:
            best = " bold" if row.cells[index].best else ""
            shown.append(Text(row.cells[index].full, style=(style + best).strip()))
        words = [Text(escape.plain(cells[place]), style=style) for cells in told.values()]
        grid.add_row(*shown, *words)
    return grid


def _name(row: format_scores.Row) -> str:
    return format_scores.name(row.entry.name) + row.sign


def _label(cell: format_scores.Cell) -> str:
    return _head(cell.column.label)


def _head(label: str) -> str:
    """Write a column's head in two lines where it is long."""
    label = escape.plain(label, LABEL)
    longest = max(map(len, label.split()), default=0)
    return "\n".join(wrap(label, max(longest, len(label) // 2 + 2, 8)))


def _name_width(names: Sequence[str], width: int) -> int:
    """Return the room of the names: all they need in a wide terminal, in a narrow one less."""
    longest = max(map(len, names), default=0)
    return min(longest, max(NARROWEST, width // 2) if width < 2 * longest else longest)


def _strips(rows: Sequence[format_scores.Row], extras: Extras, width: int) -> list[range]:
    """Cut the columns of a board into groups that fit the width, one at least in each."""
    words = sum(
        SEPARATOR + max(map(len, (*_head(head).split("\n"), *cells)))
        for head, cells in extras.items()
    )
    room = width - _name_width([_name(row) for row in rows], width) - 1
    strips, start, used = [], 0, words
    for index, cell in enumerate(rows[0].cells):
        texts = [*_label(cell).split("\n"), *(row.cells[index].full for row in rows)]
        need = SEPARATOR + max(map(len, texts))
        if index > start and used + need > room:
            strips.append(range(start, index))
            start, used = index, 0
        used += need
    return [*strips, range(start, len(rows[0].cells))]
