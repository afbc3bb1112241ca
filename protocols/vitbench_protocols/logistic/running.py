"""One run: C is chosen on held-out training images, the classifiers are fitted and scored."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from vitbench.api import Backbone, Context, FeatureSpec, ImageView, Outcome, Score, errors
from vitbench.kit import (
    atomic,
    competing,
    cut_note,
    distributed,
    gap_scores,
    write_class_table,
    write_curve,
)
from vitbench_protocols.logistic.fitting import Classifiers, fit
from vitbench_protocols.logistic.subsets import Rows, few, held_out

if TYPE_CHECKING:
    from vitbench_protocols.logistic import Logistic

TOGETHER = 15  # values of C that are fitted together, whatever the number of processes
LOGITS = 1 << 28  # that are held at once; fewer values of C are fitted together where that is more


def score_classifiers(protocol: "Logistic", backbone: Backbone, context: Context) -> Outcome:
    """Choose C, fit all of the training images, score the others."""
    _check(protocol)
    if cut := cut_note(protocol.crop, backbone.info.stage(0).stride):
        context.note(cut)
    spec = FeatureSpec(view=ImageView(protocol.resize, protocol.crop))
    train, *asked = (context.features(split, spec) for split in protocol.splits)
    among = torch.from_numpy(competing(context)) if protocol.queries else None
    vectors, *queries = _prepared(
        protocol, [table.vectors() for table in (train, *asked)], context.device
    )
    truths = [torch.from_numpy(table.targets) for table in asked]
    runs = _Runs(protocol, context, vectors, train.targets, train.classes)
    chosen = runs.choose() if len(protocol.c_values) > 1 else [0] * protocol.draws
    hits: list[list[Tensor]] = [[] for _ in asked]
    for draw, best in enumerate(chosen):
        found = runs.final(draw, best).limited_to(among)
        for rows, truth, right in zip(queries, truths, hits, strict=True):
            right.append(found.ranked(rows, 5)[0].cpu() == truth[:, None])
        context.progress("draws", draw + 1, len(chosen))
    *clean, drawn = (torch.stack(right) for right in hits)  # (draws, n, 5) each
    items = {"top1": _percent(drawn[:, :, 0]), "top5": _percent(drawn.any(dim=2))}
    scores = [Score(name, float(found.mean()), len(found)) for name, found in items.items()]
    scores.append(_deviation(drawn[:, :, 0]))
    for before in clean:
        scores += gap_scores(_percent(before[:, :, 0]), items["top1"], context)
    tables = write_class_table(context.dataset(protocol.splits[-1]), items, context)
    if runs.right:
        tables |= _write_sweep(protocol, runs.right, context)
    return Outcome(tuple(scores), {"ids": np.array(asked[-1].ids), **items}, tables)


def _percent(hits: Tensor) -> NDArray[np.float64]:
    """Return how many draws are right, percent of each image, from hits (draws, n)."""
    found: NDArray[np.float64] = 100.0 * hits.double().mean(dim=0).numpy()
    return found


class _Runs:
    """Fits on the draws of the training images."""

    def __init__(
        self,
        protocol: "Logistic",
        context: Context,
        vectors: Tensor,
        targets: NDArray[np.int64],
        classes: int,
    ) -> None:
        self._protocol, self._context, self._vectors = protocol, context, vectors
        self._labels = torch.from_numpy(targets).to(vectors.device)
        self._rows = [
            few(
                targets,
                shots=protocol.shots,
                percent=protocol.percent,
                seed=context.seed,
                draw=draw,
            )
            for draw in range(protocol.draws)
        ]
        self._together = max(1, min(TOGETHER, LOGITS // max(1, len(self._rows[0]) * classes)))
        self.right: dict[tuple[int, int], float] = {}  # by draw and place of C: held-out top-1

    def choose(self) -> list[int]:
        """Return the place of the best C for each draw; processes share the fits."""
        protocol, context = self._protocol, self._context
        starts = range(0, len(protocol.c_values), self._together)
        work = [(draw, start) for draw in range(protocol.draws) for start in starts]
        right: dict[tuple[int, int], float] = {}
        for done, (draw, start) in enumerate(distributed.share(work)):
            fitted, apart = held_out(
                self._rows[draw], protocol.held_out, seed=context.seed, draw=draw
            )
            found = self._fit(fitted, protocol.c_values[start : start + self._together])
            best = found.ranked(self._vectors[apart], 1)[..., 0] == self._labels[apart]
            for place, share in enumerate(best.double().mean(dim=1).tolist()):
                right[draw, start + place] = 100.0 * share
            context.progress("values of C", done + 1, len(work) // distributed.world_size())
        self.right = {
            key: value for part in distributed.gather(right) for key, value in part.items()
        }
        places = range(len(protocol.c_values))
        best_places = [
            max(places, key=lambda place, draw=draw: (self.right[draw, place], -place))  # type: ignore[misc]
            for draw in range(protocol.draws)
        ]
        values = sorted({protocol.c_values[place] for place in best_places})
        context.note(
            f"C chosen on held-out training images: {', '.join(f'{c:.3g}' for c in values)}"
        )
        return best_places

    def final(self, draw: int, place: int) -> Classifiers:
        """Fit one C to all training images of a draw."""
        return self._fit(self._rows[draw], (self._protocol.c_values[place],))

    def _fit(self, rows: Rows, c_values: Sequence[float]) -> Classifiers:
        return fit(
            self._vectors[rows],
            self._labels[rows],
            c_values,
            intercept=self._protocol.intercept,
            iterations=self._protocol.iterations,
            tolerance=self._protocol.tolerance,
        )


def _check(protocol: "Logistic") -> None:
    problems = []
    if protocol.shots and protocol.percent:
        problems.append("--shots and --percent both say how many training images are drawn")
    if not protocol.c_values:
        problems.append("--c-values must name one at least")
    if list(protocol.c_values) != sorted(set(protocol.c_values)):
        problems.append("--c-values must rise")
    if problems:
        raise errors.SettingError(problems)


def _prepared(protocol: "Logistic", tables: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Return features as the classifiers see them, (n, D) float64; those of train come first."""
    tables = [table.to(device).double() for table in tables]
    if protocol.scaling == "standardized":
        mean, deviation = tables[0].mean(dim=0), tables[0].std(dim=0).clamp(min=1e-12)
        return [(table - mean) / deviation for table in tables]
    if protocol.scaling == "centered-l2":
        tables = [table - table.mean(dim=1, keepdim=True) for table in tables]
    if protocol.scaling == "none":
        return list(tables)
    return [normalize(table, dim=1) for table in tables]


def _deviation(hits: Tensor) -> Score:
    """Return the standard deviation of top-1 over draws, from hits (draws, n)."""
    accuracies = 100.0 * hits.double().mean(dim=1)
    value = float(accuracies.std()) if len(accuracies) > 1 else None
    return Score("top1_deviation", value, len(accuracies))


def _write_sweep(
    protocol: "Logistic", right: dict[tuple[int, int], float], context: Context
) -> dict[str, Path]:
    """Write the held-out accuracy of every C, the mean over draws, as CSV and as a curve."""
    paths = {"sweep": context.output / "sweep.csv", "curve": context.output / "sweep.svg"}
    if not distributed.is_main():
        return paths
    draws, places = range(protocol.draws), range(len(protocol.c_values))
    means = np.array([np.mean([right[draw, place] for draw in draws]) for place in places])
    paths["sweep"].parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic(paths["sweep"]) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["C", "held-out top-1"])
        writer.writerows(
            [f"{c:g}", f"{mean:.4f}"] for c, mean in zip(protocol.c_values, means, strict=True)
        )
    words = ("log10 of C", "held-out top-1, %")
    write_curve(paths["curve"], "sweep", words, np.log10(protocol.c_values), means)
    return paths
