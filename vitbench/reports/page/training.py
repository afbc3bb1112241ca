"""How the checkpoints of a page were trained: curves from the journals of their runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitbench.reports.page import breakdown, pictures
from vitbench.reports.page.charts import Chart, Curve, curves
from vitbench.reports.table import Table

ARTIFACT = "training"  # of a record: the journal of the run that the checkpoint comes from
RUNS = 6
CURVES = 16
# Parts of names of values that tell nothing of what was learned: schedules, speeds.
ASIDE = ("learning_rate", "weight_decay", "momentum", "temperature", "per_second", "waiting")
ALL = "all runs"  # name of a curve that is the same in each of them


@dataclass(frozen=True, slots=True)
class Training:
    """Curves and the checkpoints on them."""

    charts: tuple[Chart, ...]  # what differs between the runs, or belongs to one of them
    alike: tuple[Chart, ...]  # schedules, speeds, and what is the same in all runs, drawn once
    drawn: tuple[str, ...]


def build_training(table: Table, colors: Mapping[str, int]) -> Training:
    """Draw the journals that the records of a table name, once for each checkpoint.

    What differs between the runs comes first; schedules and equal terms stand aside.
    """
    paths = {
        line.name: file.path
        for board in table.boards
        for line in board.entries
        if not line.published
        for file in pictures.files(line.record, table.folders)
        if file.name == ARTIFACT
    }
    paths = dict(list(paths.items())[:RUNS])
    found = breakdown.read_curves(paths)
    telling: list[Chart] = []
    alike: list[Chart] = []
    for (name, place), lines in found.items():
        same = len(lines) > 1 and _equal(lines)
        drawn = [Curve(ALL, lines[0].points)] if same else lines
        aside = same or any(part in name for part in ASIDE)
        (alike if aside else telling).append(curves(drawn, colors, place, name))
    return Training(tuple(telling[:CURVES]), tuple(alike[:CURVES]), tuple(paths))


def _equal(lines: Sequence[Curve]) -> bool:
    return all(list(line.points) == list(lines[0].points) for line in lines[1:])
