"""A table as one HTML file that needs no network: pictures, styles and script are inside."""

import base64
import hashlib
import re
import shlex
from functools import cache
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from vitbench import __version__
from vitbench.records import Record
from vitbench.reports import escape, format_scores, marks
from vitbench.reports.families import FAMILIES, family
from vitbench.reports.formats import left_out
from vitbench.reports.page.cost import read_costs
from vitbench.reports.page.overview import Overview, build_overview, kind_of, palette
from vitbench.reports.page.pictures import Album
from vitbench.reports.page.sections import build_section
from vitbench.reports.page.training import build_training
from vitbench.reports.page.verdict import build_answers
from vitbench.reports.page.versus import key_of, versus
from vitbench.reports.table import Table

RUNS = 300  # whose provenance is told
COMPARISONS = 300  # that are told one by one
SCRIPTS = ("script.js", "tables.js", "versus.js")
TAGS = {"published": "published", "floor": "floor", "truth": "ground truth"}


def html(table: Table) -> str:
    """Return a table as one self-contained HTML page."""
    colors = palette(table)
    album = Album()
    costs = read_costs(table)
    script = Markup("\n").join(map(_part, SCRIPTS))
    boards = table.boards
    there = {family(board) for board in boards}
    return _template().render(
        title=_title(table),
        version=__version__,
        command=_command(table),
        overview=build_overview(table),
        verdict=build_answers(table.verdict) if table.verdict else None,
        comparisons=[(found, board) for board in boards for found in board.comparisons],
        versus=versus(table),
        sections=[
            build_section(table, board, index, colors, album, costs)
            for index, board in enumerate(boards)
        ],
        kinds=[kind for kind in FAMILIES if kind in there],
        protocols=sorted({board.protocol.name for board in boards}),
        training=build_training(table, colors),
        colors=colors,
        left_out=[escape.plain(text) for text in left_out(table)],
        album=album,
        at_once=COMPARISONS,
        runs=_runs(table)[:RUNS],
        more_runs=max(0, len(_runs(table)) - RUNS),
        style=_part("style.css"),
        script=script,
        script_hash=_hash(script),
    )


@cache
def _template() -> Template:
    environment = Environment(
        loader=FunctionLoader(_part),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "plain": escape.plain,
        "name": format_scores.name,
        "breakable": _breakable,
        "leading": _leading,
    }
    environment.tests["startingwith"] = str.startswith
    environment.globals |= {
        "format_scores": format_scores,
        "marks": marks,
        "family": family,
        "kind_of": kind_of,
        "tags": TAGS,
        "key_of": key_of,
    }
    return environment.get_template("template.html.j2")


def _leading(cell: str) -> str:
    """Return the number that a cell begins with, by which it is sorted; empty where none does."""
    found = re.match(r"[+-]?\d+(\.\d+)?", cell)
    return found.group() if found else ""


def _hash(script: str) -> str:
    """Return the one script that the page's content security policy lets run."""
    return f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}"


def _breakable(text: str) -> Markup:
    """Let long names turn over after their hyphens and underscores."""
    return Markup("<wbr>").join(re.findall(r"[^_+-]*[_+-]*", escape.plain(text)))


def _part(name: str) -> Markup:
    """Read a part of the page that this package ships."""
    return Markup(files("vitbench.reports.page").joinpath(name).read_text(encoding="utf-8"))


def _title(table: Table) -> str:
    if table.compared:
        return " · ".join(format_scores.name(name) for name in table.compared)
    subjects = {line.name for board in table.boards for line in board.entries}
    return f"{_counted(len(subjects), 'checkpoint')} on {_counted(len(table.boards), 'board')}"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _command(table: Table) -> str:
    folders = [str(folder) for folder in table.folders]
    compared = ["--compare", *table.compared] if table.compared else []
    against = ["--against", table.against] if table.against else []
    return shlex.join(["vitbench", "report", *folders, *compared, *against, "--format", "html"])


def _runs(table: Table) -> list[Record]:
    return [line.record for board in table.boards for line in board.entries]


__all__ = ["Overview", "html"]
