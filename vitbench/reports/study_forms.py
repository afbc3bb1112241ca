"""The table of a study as Markdown, CSV, LaTeX, JSON, HTML, or for a terminal."""

import csv as csv_module
import io
import json as json_module
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.resources import files

from markupsafe import Markup
from markupsafe import escape as escape_html

from vitbench.reports import escape
from vitbench.reports.render import WIDTH, Form
from vitbench.reports.study_table import StudyTable


def render_study(table: StudyTable, form: Form) -> str:
    """Return the table of a study as text of one form."""
    forms: dict[str, Callable[[StudyTable], str]] = {
        "rich": _rich,
        "markdown": _markdown,
        "csv": _csv,
        "latex": _latex,
        "json": _json,
        "html": _html,
    }
    return forms[form](table)


def _lines(table: StudyTable) -> list[list[str]]:
    """Return the texts of every row, the name first."""
    return [[row.name, *row.about, *(cell.text for cell in row.cells)] for row in table.rows]


def _words(table: StudyTable) -> list[str]:
    """Return what is said below the table."""
    source = [f"printed values: {table.source}"] if table.source else []
    return [*source, *table.remarks, *(f"claim: {one.text}" for one in table.judged)]


def _rich(table: StudyTable) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, width=WIDTH)
    console.print(Text(escape.plain(table.title), style="bold"))
    for text in table.legend:
        console.print(Text(escape.plain(text), style="dim"))
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    heads, *lines = _fitting(
        [list(map(escape.plain, line)) for line in (table.heads, *_lines(table))]
    )
    for place, head in enumerate(heads):
        grid.add_column(Text(head), justify="right" if place else "left", overflow="fold")
    for line in lines:
        grid.add_row(*map(Text, line))
    console.print(grid)
    for text in _words(table):
        console.print(Text(escape.plain(text)))
    return stream.getvalue()


def _fitting(lines: list[list[str]]) -> list[list[str]]:
    """Return lines of cells as they are, or turned round where only that fits a terminal."""
    turned = [list(line) for line in zip(*lines, strict=True)]
    return turned if _width(lines) > WIDTH >= _width(turned) else lines


def _width(lines: list[list[str]]) -> int:
    return sum(max(map(len, cells)) + 2 for cells in zip(*lines, strict=True))


def _markdown(table: StudyTable) -> str:
    rule = ["---"] * (1 + len(table.about)) + ["---:"] * len(table.columns)
    lines = [[escape.markdown(head) for head in table.heads], rule]
    for row in table.rows:
        cells = [escape.markdown(cell.text) for cell in row.cells]
        bold = [
            f"**{text}**" if cell.best else text
            for text, cell in zip(cells, row.cells, strict=True)
        ]
        lines.append([*map(escape.markdown, (row.name, *row.about)), *bold])
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = "\n".join(f"- {escape.markdown(text)}" for text in _words(table))
    legend = "\n\n".join(map(escape.markdown, table.legend))
    return f"## {escape.markdown(table.title)}\n\n{legend}\n\n{body}\n\n{said}\n"


def _csv(table: StudyTable) -> str:
    stream = io.StringIO()
    writer = csv_module.writer(stream, lineterminator="\n")
    head = ("row", "column", "metric", "state", "value", "low", "high", "seeds", "printed")
    writer.writerow((*head, "difference"))
    for row in table.rows:
        for cell in row.cells:
            numbers = (cell.value, cell.low, cell.high, cell.seeds, cell.printed, cell.difference)
            texts = (row.name, cell.column.group, cell.column.label, cell.state)
            writer.writerow(
                (*map(escape.csv, texts), *("" if one is None else one for one in numbers))
            )
    return stream.getvalue()


def _latex(table: StudyTable) -> str:
    def line(texts: Sequence[str]) -> str:
        return " & ".join(map(escape.latex, texts)) + r" \\"

    left = 1 + len(table.about)
    body = "\n".join(map(line, _lines(table)))
    said = " ".join(
        f"{escape.latex(text)}." for text in (table.title, *table.legend, *_words(table))
    )
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{said}}}",
            r"\small",
            rf"\begin{{tabular}}{{{'l' * left}{'r' * len(table.columns)}}}",
            r"\toprule",
            line(table.heads),
            r"\midrule",
            body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _json(table: StudyTable) -> str:
    return json_module.dumps(asdict(table), indent=1, ensure_ascii=False) + "\n"


def _html(table: StudyTable) -> str:
    """Return a page of its own, in the style of the report's page, that needs no network."""
    style = files("vitbench.reports.page").joinpath("style.css").read_text("utf-8")

    def cells(tag: str, texts: Sequence[str], more: str = "") -> Markup:
        opened = Markup(f"<{tag}{more}>")  # of our own words alone
        return Markup("").join(opened + escape.plain(text) + Markup(f"</{tag}>") for text in texts)

    rows = Markup("\n").join(
        Markup("<tr>")
        + cells("th", [row.name], ' scope="row"')
        + cells("td", row.about)
        + Markup("").join(
            Markup('<td class="num best">' if cell.best else '<td class="num">')
            + escape.plain(cell.text)
            + Markup("</td>")
            for cell in row.cells
        )
        + Markup("</tr>")
        for row in table.rows
    )
    said = Markup("\n").join(Markup("<p>") + text + Markup("</p>") for text in _words(table))
    soft = Markup('<p class="soft">')
    legend = Markup("\n").join(soft + escape.plain(text) + Markup("</p>") for text in table.legend)
    title = escape_html(escape.plain(table.title))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><main><h1>{title}</h1><section>{legend}
<div class="wide" style="overflow-x:auto"><table><thead><tr>{cells("th", table.heads)}</tr></thead>
<tbody>{rows}</tbody></table></div></section><section>{said}</section></main></body></html>
"""
