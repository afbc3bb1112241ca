"""A card of each network of a study: what it is, and everything that was measured of it."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count
from pathlib import Path

from vitbench.records import Record, atomic, safe_name
from vitbench.reports import escape
from vitbench.reports.format_scores import number, with_interval
from vitbench.studies.cell_state import State, Work
from vitbench.studies.matrix import Cell, Row, Study
from vitbench.studies.row_facts import facts_of
from vitbench.studies.show import printed_record, printed_value

HEADS = ("protocol", "data", "metric", "measured", "printed", "seed", "record")


def write_cards(study: Study, states: Mapping[Work, State], folder: Path) -> Iterator[Path]:
    """Write one Markdown file for each row that has a record; yield their paths."""
    for row, name in zip(study.rows, _file_names(study.rows), strict=True):
        text = card(study, row, states)
        if text:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{name}.md"
            with atomic(path) as part:
                part.write_text(text, encoding="utf-8")
            yield path


def _file_names(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a file name for each row; rows that differ in special characters only are numbered."""
    taken: set[str] = set()
    for row in rows:
        first = safe_name(row.name)
        tries = chain([first], (f"{first}-{number}" for number in count(2)))
        name = next(one for one in tries if one.lower() not in taken)
        taken.add(name.lower())
        yield name


def card(study: Study, row: Row, states: Mapping[Work, State]) -> str:
    """Return the card of a row as Markdown; empty where nothing was measured of it yet."""
    found = [(cell, states[cell].record) for cell in study.cells if cell.row is row]
    done = [(cell, record) for cell, record in found if record is not None]
    if not done:
        return ""
    facts = [*_facts(done[0][1]), *facts_of(row).items()]
    scores = [line for cell, record in done for line in _scores(cell, record)]
    parts = [f"# {escape.markdown(row.name)}", _table(("", ""), facts), _table(HEADS, scores)]
    left = [cell.name for cell, record in found if record is None]
    return (
        "\n\n".join([*parts, *([f"Not measured yet: {', '.join(left)}."] if left else [])]) + "\n"
    )


def _facts(record: Record) -> Iterator[tuple[str, str]]:
    subject = record.subject
    told = {
        "checkpoint": subject.name,
        "architecture": subject.arch,
        "method": subject.method,
        "weights": f"sha256 {subject.sha256[:16]}",
        "input mean": ", ".join(f"{value:g}" for value in subject.mean or ()),
        "input std": ", ".join(f"{value:g}" for value in subject.std or ()),
        "trained": f"{subject.training[0]} of {subject.training[1]} steps"
        if subject.training
        else "",
        "sanity check": subject.gate,
        "measured by": f"vitbench {record.environment.vitbench},"
        f" {record.environment.git_commit[:12] or 'no commit'}, {record.environment.device}",
    }
    yield from ((name, text) for name, text in told.items() if text)


def _scores(cell: Cell, record: Record) -> Iterator[tuple[str, ...]]:
    """Yield a line for every score of a record, the primary one first."""
    printed = printed_record(cell.row, cell.column)
    data = f"{record.dataset.name}, {record.dataset.items:,} items" if record.dataset else ""
    for score in sorted(record.scores, key=lambda one: not one.primary):
        wanted = printed_value(printed, score.metric)
        yield (
            cell.column.on,
            data,
            score.label,
            with_interval(score),
            "" if wanted is None else number(wanted, score.unit),
            str(record.seed),
            record.id[:8],
        )


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *(map(escape.markdown, line) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
