"""A table as one HTML file that needs no network: pictures, styles and script are inside."""

import re
import shlex
from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from vitbench import __version__
from vitbench.records import Record
from vitbench.reports import escape, format_scores, marks
from vitbench.reports.formats import left_out
from vitbench.reports.page.charts import radar
from vitbench.reports.page.overview import Overview, build_overview, palette
from vitbench.reports.page.pictures import Album
from vitbench.reports.page.sections import build_section
from vitbench.reports.page.training import build_training
from vitbench.reports.table import Table

RUNS = 300  # whose provenance is told
VERDICTS = 9  # that are seen at once


def html(table: Table) -> str:
    """Return a table as one self-contained HTML page."""
    colors = palette(table)
    album = Album()
    overview = build_overview(table)
    return _template().render(
        title=_title(table),
        version=__version__,
        command=_command(table),
        overview=overview,
        radar=radar(overview.axes, colors) if len(overview.axes) > 2 else "",
        verdicts=[
            (comparison.better_first, board)
            for board in table.boards
            for comparison in board.comparisons
        ],
        sections=[
            build_section(table, board, index, colors, album)
            for index, board in enumerate(table.boards)
        ],
        training=build_training(table, colors),
        colors=colors,
        left_out=[escape.plain(text) for text in left_out(table)],
        album=album,
        at_once=VERDICTS,
        runs=_runs(table)[:RUNS],
        more_runs=max(0, len(_runs(table)) - RUNS),
        style=_part("style.css"),
        script=_part("script.js"),
    )


@cache
def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "plain": escape.plain,
        "name": format_scores.name,
        "breakable": _breakable,
    }
    environment.globals |= {"format_scores": format_scores, "marks": marks}
    return environment.from_string(_part("template.html.j2"))


def _breakable(text: str) -> Markup:
    """Let a long name turn over after its hyphens and underscores."""
    return Markup("<wbr>").join(re.findall(r"[^_+-]*[_+-]*", format_scores.name(text)))


def _part(name: str) -> Markup:
    """Read a part of the page that this package ships."""
    return Markup(files("vitbench.reports.page").joinpath(name).read_text(encoding="utf-8"))


def _title(table: Table) -> str:
    if table.compared:
        return " · ".join(format_scores.name(name) for name in table.compared)
    subjects = {line.name for board in table.boards for line in board.entries}
    return f"{len(subjects)} checkpoints on {len(table.boards)} boards"


def _command(table: Table) -> str:
    folder = ["--results", str(table.folder)] if table.folder else []
    compared = ["--compare", *table.compared] if table.compared else []
    return shlex.join(["vitbench", "report", *folder, *compared, "--format", "html"])


def _runs(table: Table) -> list[Record]:
    return [line.record for board in table.boards for line in board.entries]


__all__ = ["Overview", "html"]
