"""Scores against what the networks cost: operations, speed and parameters, never wall seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitbench.reports import format_scores
from vitbench.reports.families import JUDGED, family
from vitbench.reports.leaderboard import Entry, Leaderboard
from vitbench.reports.page.charts import Chart, Dot, scatter
from vitbench.reports.table import Table

PROFILE = "profile"  # the protocol whose records tell costs
AXES = {
    "flops": "GFLOPs an image",
    "images_per_second": "images/s, as profiled",
    "parameters": "parameters (millions)",
    "pass": "images/s of the feature pass",
}
MOST = 300  # dots


@dataclass(frozen=True, slots=True)
class Costs:
    """What the networks of a report cost, by the hash of their weights."""

    profiled: Mapping[str, Mapping[str, float]]

    def of(self, entry: Entry) -> dict[str, float]:
        """Return the costs of a run's network, by axis; those of its own record are one of them."""
        cost = entry.record.cost
        own = {"pass": cost.images_per_second} if cost.images_per_second else {}
        found = {**self.profiled.get(entry.record.subject.sha256, {}), **own}
        return {axis: value for axis, value in found.items() if 0 < value < format_scores.HUGE}


def read_costs(table: Table) -> Costs:
    """Read the records of `profile` in a report."""
    return Costs(
        {
            entry.record.subject.sha256: {
                axis: value for axis in AXES if (value := entry.value(axis)) is not None
            }
            for board in table.boards
            if board.protocol.name == PROFILE
            for entry in board.entries
        }
    )


def cost_charts(
    costs: Costs, board: Leaderboard, runs: Sequence[Entry], colors: Mapping[str, int]
) -> tuple[Chart, ...]:
    """Draw the primary score against each cost that differs between the runs.

    The speed of the feature pass stands in for the profile's where no run was profiled.
    """
    column = board.primary
    if column is None or family(board) not in JUDGED:
        return ()
    scored = [
        (entry, value, costs.of(entry))
        for entry in runs[:MOST]
        if (value := entry.value(column.metric)) is not None and abs(value) < format_scores.HUGE
    ]
    charts: list[Chart] = []
    for axis, label in AXES.items():
        if axis == "pass" and charts:
            continue
        dots = [
            Dot(entry.name, known[axis], value, _note(entry.name, known))
            for entry, value, known in scored
            if axis in known
        ]
        if len({dot.x for dot in dots}) > 1:
            charts.append(scatter(dots, colors, label, column.label))
    return tuple(charts)


def _note(name: str, known: Mapping[str, float]) -> str:
    return f"{name}: " + ", ".join(f"{AXES[axis]} {value:.4g}" for axis, value in known.items())
