"""A table as Markdown, CSV, LaTeX or JSON."""

import csv as csv_module
import io
import json as json_module
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from vitbench.records import Record
from vitbench.reports import escape, failures, format_scores, marks, verdict_text
from vitbench.reports.leaderboard import Leaderboard
from vitbench.reports.published import SEPARATOR
from vitbench.reports.table import Table
from vitbench.reports.verdict import Verdict


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
    preset: str = ""
    arch: str = ""
    items: int = 0  # that the score is over
    seed: int = 0
    against: str = ""  # the run that it was compared with
    p: float | None = None  # of the difference, corrected for all comparisons


def rows(table: Table) -> Iterator[Row]:
    """List every score of a table, then the runs that failed, without a value."""
    for board in table.boards:
        held = board.against_reference()
        for line in board.entries:
            shown = {column.metric for column in board.columns}
            for metric in (metric for metric in line.scores if metric in shown):
                score = line.scores[metric]
                found = (
                    held.get(line.name)
                    if board.primary and metric == board.primary.metric
                    else None
                )
                yield _row(
                    line.record,
                    checkpoint=line.name,
                    dataset=board.data_name,
                    metric=metric,
                    value=score.value,
                    low=score.low,
                    high=score.high,
                    items=score.items,
                    against=board.reference if found else "",
                    p=found.corrected if found else None,
                )
    for record in table.failed:
        data = record.dataset
        yield _row(record, dataset=f"{data.name}/{data.split}" if data else "")


def _row(record: Record, **changes: Any) -> Row:
    """Return the row of a record, with what is told of one of its scores."""
    row = Row(
        checkpoint=record.subject.name,
        protocol=record.protocol.name,
        spec_id=record.protocol.spec_id,
        dataset="",
        metric="",
        value=None,
        low=None,
        high=None,
        source=record.source,
        marks=marks.marks(record),
        preset=record.protocol.preset,
        arch=record.subject.arch,
        seed=record.seed,
    )
    return replace(row, **changes)


def json(table: Table) -> str:
    """Write scores, comparisons and verdict as one JSON object, in ASCII."""
    verdict = table.verdict
    document = {
        "verdict": verdict_as_dict(verdict) if verdict else None,
        "comparisons": [
            {
                "protocol": board.protocol.name,
                "dataset": board.data_name,
                "metric": one.column.metric,
                **{key: value for key, value in asdict(one).items() if key != "column"},
            }
            for board in table.boards
            for one in board.comparisons
        ],
        "scores": [asdict(row) for row in rows(table)],
    }
    return json_module.dumps(document, indent=1, allow_nan=False) + "\n"


def verdict_as_dict(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain values: the answers, and each run's tally and rank."""
    return {
        "answers": [
            {"of": one.of, "answer": one.said, "because": one.why, "sure": one.sure}
            for one in verdict_text.headlines(verdict)
        ],
        "standings": [asdict(one) for one in verdict.overall.standings],
        "families": {
            kind: [asdict(one) for one in league.standings]
            for kind, league in verdict.families.items()
        },
        "disagreements": [asdict(one) for one in verdict.disagreements],
        "undecidable": dict(verdict.undecidable),
        "above_floor": {
            run: [tally.wins, tally.of] for run, tally in verdict.overall.floors.items()
        },
        "against": verdict.against,
        "comparisons": verdict.comparisons,
    }


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
    """Write the verdict, then one Markdown table a board; published rows are in italics.

    A best number is bold where it is surely, or as printed, nobody else's.
    """
    parts = _markdown_verdict(table.verdict) if table.verdict else []
    for board in table.boards:
        lines = format_scores.write(board)
        extras = extra_columns(board, lines)
        header = ["checkpoint", *(column.label for column in board.columns), *extras]
        parts.append(f"### {escape.markdown(board.title)}\n")
        parts += [f"{escape.markdown(text)}\n" for text in format_scores.remarks(board)]
        body = [
            _markdown_line(row, [cells[place] for cells in extras.values()])
            for place, row in enumerate(lines)
        ]
        numbers = ["---:" for _ in board.columns]
        parts.append(_pipes(header, ["---", *numbers, *("---" for _ in extras)], body))
        parts += [f"- {escape.markdown(text)}" for text in found(board)] + [""]
    parts += [f"- {escape.markdown(text)}" for text in left_out(table)]
    return "\n".join(parts) + "\n"


def _pipes(header: Sequence[str], rule: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = ([escape.markdown(text) for text in header], rule, *body)
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def _markdown_verdict(verdict: Verdict) -> list[str]:
    heads, body = verdict_text.table(verdict)
    told = [
        f"- **{escape.markdown(one.of)}: {escape.markdown(one.said)}** — {escape.markdown(one.why)}"
        for one in verdict_text.headlines(verdict)
    ]
    told += [f"- {escape.markdown(text)}" for text in verdict_text.remarks(verdict)]
    rows_ = [[escape.markdown(text) for text in row] for row in body]
    rule = ["---", *("---:" for _ in heads[1:])]
    return ["### Verdict\n", *told, "", _pipes(heads, rule, rows_)]


def extra_columns(board: Leaderboard, lines: Sequence[format_scores.Row]) -> dict[str, list[str]]:
    """Return the columns of words behind the scores, by their heads; none that tell nothing."""
    sources: list[str] = [row.entry.record.source for row in lines]
    told: dict[str, list[str]] = {
        "p": [row.p for row in lines],
        "gap": [row.gap for row in lines],
        "arch": [format_scores.name(row.entry.record.subject.arch) for row in lines],
        "source": sources if len({*sources}) > 1 else [""] * len(lines),
    }
    return {head: cells for head, cells in told.items() if any(cells)}


def _markdown_line(row: format_scores.Row, extras: Sequence[str]) -> list[str]:
    written = []
    for cell in row.cells:
        text = f"*{cell.full}*" if row.entry.published else cell.full
        written.append(f"**{text}**" if cell.best else text)
    name = escape.markdown(format_scores.name(row.entry.name)) + row.sign
    return [name, *written, *(escape.markdown(text) for text in extras)]


def latex(table: Table) -> str:
    """Write the verdict and one booktabs tabular a board; published rows are in italics."""
    parts = ["% needs \\usepackage{booktabs}\n"]
    if table.verdict:
        heads, body = verdict_text.table(table.verdict)
        answers = verdict_text.headlines(table.verdict)
        told = [f"{one.of}: {one.said} ({one.why})" for one in answers]
        caption = [*told, *verdict_text.remarks(table.verdict)]
        lines = [" & ".join(map(escape.latex, row)) + r" \\" for row in body]
        parts.append(_tabular(heads, f"l{'r' * len(heads[1:])}", lines, _sentences(caption)))
    for board in table.boards:
        shared = _shared_words(board)
        written = format_scores.write(board)
        extras = extra_columns(board, written)
        heads = ["checkpoint", *(column.label for column in board.columns), *extras]
        lines = [
            _latex_line(row, shared, [cells[place] for cells in extras.values()])
            for place, row in enumerate(written)
        ]
        spec = f"l{'r' * len(board.columns)}{'l' * len(extras)}"
        parts.append(_tabular(heads, spec, lines, _caption(board, shared)))
    parts += [f"% {escape.plain(text)}\n" for text in left_out(table)]
    return "\n".join(parts)


def _tabular(heads: Sequence[str], spec: str, lines: Sequence[str], caption: str) -> str:
    """Write a table of LaTeX."""
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{caption}}}",
            r"\small",
            r"\setlength{\tabcolsep}{4pt}",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            " & ".join(escape.latex(head) for head in heads) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _sentences(texts: Sequence[str]) -> str:
    return " ".join(f"{escape.latex(text)}." for text in texts)


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
    return _sentences([board.title, *printed, *format_scores.remarks(board), *found(board)])


def _latex_line(row: format_scores.Row, shared: str, extras: Sequence[str]) -> str:
    written = []
    for cell in row.cells:
        text = escape.latex(cell.full)
        text = rf"\textit{{{text}}}" if row.entry.published else text
        written.append(rf"\textbf{{{text}}}" if cell.best else text)
    name = format_scores.name(row.entry.name)
    name = escape.latex((name.removesuffix(shared) if row.entry.published else name) + row.sign)
    return " & ".join([name, *written, *map(escape.latex, extras)]) + r" \\"


def found(board: Leaderboard) -> list[str]:
    """Return the comparisons with a board's reference as sentences."""
    return [format_scores.sentence(one, board.items_name) for one in board.told()]


def left_out(table: Table) -> list[str]:
    """Return what the table does not show: failed runs, files that are no records, printed rows."""
    said = [failures.in_a_line(record) for record in table.failed]
    if said:
        said.append("vitbench report --failed tells all of the failed runs")
    said += [f"skipped: {item.path.name}: {item.reason}" for item in table.skipped]
    if table.hidden:
        said.append(f"{table.hidden} more printed rows of these methods: --published all")
    return said
