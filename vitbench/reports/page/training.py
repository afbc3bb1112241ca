"""How the checkpoints of a page were trained: curves from the journals of their runs."""

from collections.abc import Mapping
from dataclasses import dataclass

from vitbench.reports.page import breakdown, pictures
from vitbench.reports.page.charts import Chart, curves
from vitbench.reports.table import Table

ARTIFACT = "training"  # of a record: the journal of the run that the checkpoint comes from
RUNS = 6
CURVES = 16


@dataclass(frozen=True, slots=True)
class Training:
    """Curves and the checkpoints on them."""

    charts: tuple[Chart, ...]
    drawn: tuple[str, ...]


def build_training(table: Table, colors: Mapping[str, int]) -> Training:
    """Draw the journals that the records of a table name, once for each checkpoint."""
    paths = {
        line.name: file.path
        for board in table.boards
        for line in board.entries
        if table.folder is not None and not line.published
        for file in pictures.files(line.record, table.folder)
        if file.name == ARTIFACT
    }
    paths = dict(list(paths.items())[:RUNS])
    found = list(breakdown.read_curves(paths).items())[:CURVES]
    charts = [curves(lines, colors, place, name) for (name, place), lines in found]
    return Training(tuple(charts), tuple(paths))
