"""One run: a protocol for every block, its scores as a curve and a table."""

import csv
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Backbone, Context, MetricSpec, Outcome, Score, errors
from vitbench.kit import atomic, distributed, write_curve
from vitbench_protocols.layers.block import BlockContext, UpToBlock

if TYPE_CHECKING:
    from vitbench_protocols.layers import Layers


def score_blocks(settings: "Layers", backbone: Backbone, context: Context) -> Outcome:
    """Score every block, and draw the curve."""
    protocol = settings.protocol
    (primary,) = (metric for metric in type(protocol).metrics if metric.primary)
    found: list[tuple[float, int, NDArray[Any] | None]] = []
    ids: NDArray[Any] = np.zeros(0)
    for block in range(backbone.info.depth):
        outcome = protocol.run(
            UpToBlock(backbone, block), BlockContext(context, backbone.info, block)
        )
        value, count = distributed.compute_on_main(partial(_primary, outcome, primary, settings.of))
        found.append((value, count, outcome.items.get(primary.name)))
        ids = outcome.items.get("ids", ids)
        context.progress("blocks", block + 1, backbone.info.depth)
    values = np.array([value for value, _, _ in found])
    best, last = int(values.argmax()), len(values) - 1
    count = found[last][1]
    scores = (
        Score("last", float(values[last]), count),
        Score("best", float(values[best]), count),
        Score("gain", float(values[best] - values[last]), count),
        Score("best_block", float(best + 1), count),
    )
    items: dict[str, NDArray[Any]] = {}
    of_last, of_best = found[last][2], found[best][2]
    if of_last is not None and of_best is not None:
        items = {"ids": ids, "last": of_last, "best": of_best, "gain": of_best - of_last}
    return Outcome(scores, items, _write(values, settings.of, primary.label, context))


def _primary(outcome: Outcome, primary: MetricSpec, name: str) -> tuple[float, int]:
    """Return the primary score of a block, and of how many items it is."""
    score = next(one for one in outcome.scores if one.metric == primary.name)
    if score.value is None:
        raise errors.DatasetError(
            f"{name} gives no {primary.label} on this data, so no block is best."
        )
    return score.value, score.items


def _write(values: NDArray[np.float64], name: str, label: str, context: Context) -> dict[str, Path]:
    """Write the score of every block as a table and as a curve."""
    paths = {"blocks": context.output / "blocks.csv", "curve": context.output / "blocks.svg"}
    if distributed.is_main():
        paths["blocks"].parent.mkdir(parents=True, exist_ok=True)
        with (
            atomic(paths["blocks"]) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(["block", f"{name} {label}"])
            writer.writerows([n, f"{value:.4f}"] for n, value in enumerate(values, start=1))
        numbers = np.arange(1.0, len(values) + 1)
        write_curve(paths["curve"], name, ("block", f"{label}, %"), numbers, values)
    return paths
