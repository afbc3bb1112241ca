"""A table as Markdown, CSV, LaTeX or JSON."""

import csv as csv_module
import io
import json as json_module
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from vitbench.reports import escape, format_scores, marks
from vitbench.reports.leaderboard import Leaderboard
from vitbench.reports.published import SEPARATOR
from vitbench.reports.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One score, as programs read it; numbers are not rounded."""

    checkpoint: str
    protocol: str
    spec_id: str
    dataset: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    source: str  # "measured" or "published"
    marks: tuple[str, ...]  # what must be known before the value is believed


def rows(table: Table) -> Iterator[Row]:
    """List every score of a table, then the runs that failed, without a value."""
    for board in table.boards:
        for line in board.entries:
            for metric, score in line.scores.items():
                yield Row(
                    checkpoint=line.name,
                    protocol=board.protocol.name,
                    spec_id=board.protocol.spec_id,
                    dataset=board.data_name,
                    metric=metric,
                    value=score.value,
                    low=score.low,
                    high=score.high,
                    source=line.record.source,
                    marks=marks.marks(line.record),
                )
    for record in table.failed:
        data = record.dataset
        yield Row(
            checkpoint=record.subject.name,
            protocol=record.protocol.name,
            spec_id=record.protocol.spec_id,
            dataset=f"{data.name}/{data.split}" if data else "",
            metric="",
            value=None,
            low=None,
            high=None,
            source=record.source,
            marks=marks.marks(record),
        )


def json(table: Table) -> str:
    """Write the rows as one JSON list, in ASCII."""
    return json_module.dumps([asdict(row) for row in rows(table)], indent=1, allow_nan=False) + "\n"


def csv(table: Table) -> str:
    """Write the rows for a spreadsheet; text can't be taken for a formula."""
    stream = io.StringIO()
    writer = csv_module.writer(stream, lineterminator="\n")
    writer.writerow(Row.__dataclass_fields__)
    for row in rows(table):
        values = {**asdict(row), "marks": "; ".join(row.marks)}.values()
        writer.writerow(escape.csv(value) if isinstance(value, str) else value for value in values)
    return stream.getvalue()


def markdown(table: Table) -> str:
    """Write one Markdown table a board; the best is bold, published rows are in italics."""
    parts = []
    for board in table.boards:
        header = ["checkpoint", *(column.label for column in board.columns), "source", "gap"]
        parts.append(f"### {escape.markdown(board.title)}\n")
        parts += [f"{escape.markdown(text)}\n" for text in format_scores.remarks(board)]
        lines = [_markdown_line(row) for row in format_scores.write(board)]
        rule = ["---", *("---:" for _ in board.columns), "---", "---:"]
        parts.append(
            "\n".join(
                "| " + " | ".join(row) + " |"
                for row in ([escape.markdown(text) for text in header], rule, *lines)
            )
            + "\n"
        )
        parts += [f"- {escape.markdown(text)}" for text in found(board)] + [""]
    parts += [f"- {escape.markdown(text)}" for text in left_out(table)]
    return "\n".join(parts) + "\n"


def _markdown_line(row: format_scores.Row) -> list[str]:
    written = []
    for cell in row.cells:
        text = f"*{cell.full}*" if row.entry.published else cell.full
        written.append(f"**{text}**" if cell.best else text)
    name = escape.markdown(format_scores.name(row.entry.name)) + row.sign
    return [name, *written, row.entry.record.source, escape.markdown(row.gap)]


def latex(table: Table) -> str:
    """Write one booktabs tabular a board; the best is bold, published rows are in italics."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    for board in table.boards:
        heads = ["checkpoint", *(column.label for column in board.columns), "source"]
        shared = _shared_words(board)
        lines = [
            " & ".join(escape.latex(head) for head in heads) + r" \\",
            r"\midrule",
            *(_latex_line(row, shared) for row in format_scores.write(board)),
        ]
        parts.append(
            "\n".join(
                [
                    r"\begin{table}[t]",
                    r"\centering",
                    rf"\caption{{{_caption(board, shared)}}}",
                    r"\small",
                    r"\setlength{\tabcolsep}{4pt}",
                    rf"\begin{{tabular}}{{l{'r' * len(board.columns)}l}}",
                    r"\toprule",
                    *lines,
                    r"\bottomrule",
                    r"\end{tabular}",
                    r"\end{table}",
                    "",
                ]
            )
        )
    parts += [f"% {escape.plain(text)}\n" for text in left_out(table)]
    return "\n".join(parts)


def _shared_words(board: Leaderboard) -> str:
    """Return how the names of all printed rows end: said once, they leave room on a page."""
    names = [
        format_scores.name(line.name).split(SEPARATOR) for line in board.entries if line.published
    ]
    shared: list[str] = []
    for words in zip(*(reversed(name[1:]) for name in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.insert(0, words[0])
    return "".join(SEPARATOR + word for word in shared)


def _caption(board: Leaderboard, shared: str) -> str:
    printed = [f"printed rows: {shared.removeprefix(SEPARATOR)}"] if shared else []
    said = [board.title, *printed, *format_scores.remarks(board), *found(board)]
    return " ".join(f"{escape.latex(text)}." for text in said)


def _latex_line(row: format_scores.Row, shared: str) -> str:
    written = []
    for cell in row.cells:
        text = escape.latex(cell.full)
        text = rf"\textit{{{text}}}" if row.entry.published else text
        written.append(rf"\textbf{{{text}}}" if cell.best else text)
    name = format_scores.name(row.entry.name)
    name = escape.latex((name.removesuffix(shared) if row.entry.published else name) + row.sign)
    return " & ".join([name, *written, row.entry.record.source]) + r" \\"


def found(board: Leaderboard) -> list[str]:
    """Return the results of a board's comparisons as sentences."""
    return [
        format_scores.sentence(comparison, board.items_name) for comparison in board.comparisons
    ]


def left_out(table: Table) -> list[str]:
    """Return what the table does not show: failed runs, files that are no records, printed rows."""
    said = [
        f"failed: {format_scores.name(record.subject.name)} on {record.protocol.name}:"
        f" {record.error.message if record.error else 'no reason was kept'}"
        for record in table.failed
    ]
    said += [f"skipped: {item.path.name}: {item.reason}" for item in table.skipped]
    if table.hidden:
        said.append(f"{table.hidden} more printed rows of these methods: --published all")
    return said
