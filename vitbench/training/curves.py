"""Curves of a training, from its metric log."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from vitbench.records import atomic

FEW = 12  # points that are marked one by one


def write_curves(
    rows: Sequence[Mapping[str, float]], panels: Sequence[Sequence[str]], path: Path
) -> None:
    """Draw named values over the steps of a training as an SVG, one panel beside the other.

    Args:
        rows: Lines of the metric log, each with `step` and some of the values.
        panels: Names of the values in each panel; what the log lacks is left out, and a panel
            without values.
        path: The file to write.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    known = {name for row in rows for name in row}
    shown = [names for names in panels if known.intersection(names)]
    figure, axes = pyplot.subplots(
        1, max(1, len(shown)), figsize=(12, 3.2), layout="constrained", squeeze=False
    )
    for axis, names in zip(axes[0], shown, strict=False):
        for name in names:
            points = [(row["step"], row[name]) for row in rows if name in row]
            if points:
                steps, values = zip(*points, strict=True)
                axis.plot(steps, values, marker="o" if len(points) < FEW else "", label=name)
        axis.set_xlabel("step")
        axis.legend()
    with atomic(path) as temporary:
        figure.savefig(temporary, format="svg")
    pyplot.close(figure)
