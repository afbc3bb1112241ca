"""Curves of a training, from its journal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vitbench.records import atomic

FEW = 12  # points that are marked one by one


def write_curves(
    rows: Sequence[Mapping[str, float]], panels: Sequence[Sequence[str]], path: Path
) -> None:
    """Draw named values over the steps of a training as an SVG, one panel beside the other.

    Args:
        rows: Lines of the journal, each with `step` and some of the values.
        panels: Names of the values in each panel; what the journal lacks is left out.
        path: The file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(12, 3.2), layout="constrained")
    for axis, names in zip(axes, panels, strict=True):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                steps, values = zip(*points, strict=True)
                axis.plot(steps, values, marker="o" if len(points) < FEW else "", label=name)
        axis.set_xlabel("step")
        if axis.lines:
            axis.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="svg")
    pyplot.close(figure)
