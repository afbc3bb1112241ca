"""Scores that are no mean over items, from what each item adds to them: mIoU, accuracies, AP.

A protocol keeps, beside its items' ids (n,), the arrays below; from them its score can be formed
again on any resample of the items, without the data.

- `confusion_hits`, `confusion_predicted`, `confusion_true`, each (n, classes): pixels of each class
  that were right, predicted, and true, in each image. Give `miou`, `aacc`, `macc`.
  `confusion_names` (classes,) are the names of the classes, if there are any.
- for `box` and `mask`: `box_image` (d,) index of the image of each detection, `box_category` (d,),
  `box_score` (d,), `box_matched` and `box_ignored` (d, 10) at the IoUs .50:.05:.95, and
  `box_truths` (n, categories): objects to be found. Give `ap_box`, `ap50_box`, `ap75_box`.
- `weights` (n,): where means over items count an item more than once (a clip with three objects).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Items = Mapping[str, NDArray[Any]]
Counts = NDArray[np.float64]  # (R, n): how often each item occurs in each resample

RECALLS = np.linspace(0.0, 1.0, 101)
IOUS = {"ap": slice(0, 10), "ap50": slice(0, 1), "ap75": slice(5, 6)}


@dataclass(frozen=True, slots=True)
class Statistic:
    """A score as a function of how often each item occurs."""

    of: Callable[[Counts], NDArray[np.float64]]  # (R, n) -> (R,), in the metric's unit
    resamples: int  # how many are worth their time


def statistic(items: Items, metric: str) -> Statistic | None:
    """Return how a metric follows from its items; None where the items do not hold it."""
    if metric in items:
        weights = np.asarray(items.get("weights", np.ones(len(items["ids"]))), dtype=np.float64)
        return weighted_mean(np.asarray(items[metric], dtype=np.float64), weights)
    if metric in CONFUSION and "confusion_hits" in items:
        return confusion_score(items, metric)
    level, _, kind = metric.partition("_")
    if level in IOUS and f"{kind}_truths" in items:
        return average_precision(items, kind, IOUS[level])
    return None


def weighted_mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> Statistic:
    """Return the weighted mean of values, both (n,); NaN values are left out."""
    defined = ~np.isnan(values)
    summed, weights = np.where(defined, values, 0.0) * weights, weights * defined
    return Statistic(lambda counts: _divide(counts @ summed, counts @ weights), 10_000)


def confusion_score(items: Items, metric: str) -> Statistic:
    """Return mIoU, pixel accuracy or mean class accuracy over summed pixels."""
    hits, predicted, true = (
        np.asarray(items[f"confusion_{name}"], dtype=np.float64)
        for name in ("hits", "predicted", "true")
    )
    formula = CONFUSION[metric]
    return Statistic(
        lambda counts: 100 * formula(counts @ hits, counts @ predicted, counts @ true), 10_000
    )


def average_precision(items: Items, kind: str, ious: slice) -> Statistic:
    """Return COCO's AP over the IoUs of a slice: precision at 101 recalls, mean over categories.

    An image drawn twice counts its detections and objects twice.
    """
    image, category, score = (items[f"{kind}_{name}"] for name in ("image", "category", "score"))
    matched, ignored = (
        np.asarray(items[f"{kind}_{name}"], dtype=bool)[:, ious] for name in ("matched", "ignored")
    )
    truths = np.asarray(items[f"{kind}_truths"], dtype=np.float64)
    order = np.lexsort((-score, category))  # by category, its best detection first
    groups = np.split(order, np.searchsorted(category[order], np.arange(1, truths.shape[1])))

    def evaluate(counts: Counts) -> NDArray[np.float64]:
        objects, by_image = (counts @ truths).T.copy(), counts.T.copy()
        found = np.empty((matched.shape[1], *objects.shape))  # (IoUs, categories, R)
        for index, group in enumerate(groups):
            drawn = by_image[image[group]]  # (detections, R)
            seen = _running_sums(drawn.copy())
            for level in range(matched.shape[1]):
                skipped = ignored[group, level]
                hits = np.flatnonzero(matched[group, level] & ~skipped)
                counted = seen[hits] - _seen_of(drawn, np.flatnonzero(skipped), hits)
                found[level, index] = _precision_at_recalls(drawn[hits], counted, objects[index])
        return 100 * _mean_defined(found, axis=(0, 1))

    return Statistic(evaluate, 1_000)


def _seen_of(
    drawn: NDArray[np.float64], some: NDArray[np.intp], hits: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Count how often some detections were drawn up to each of the hits; (d, R) -> (hits, R)."""
    sums = np.zeros((len(some) + 1, drawn.shape[1]))
    sums[1:] = drawn[some]
    return _running_sums(sums)[np.searchsorted(some, hits)]


def _precision_at_recalls(
    hits: NDArray[np.float64], counted: NDArray[np.float64], objects: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Average the best precision at or beyond each recall; (d, R), (d, R), (R,) -> (R,).

    Given are how often each of the d right detections was drawn, how many detections count up to
    it, and the objects. Recall and the best precision change at right detections alone.
    """
    right = _running_sums(hits)
    best = _divide(right, counted, otherwise=0.0)
    for row in range(len(best) - 1, 0, -1):
        np.maximum(best[row - 1], best[row], out=best[row - 1])
    some = np.maximum(objects, 1.0)
    below = (100 * right / some).astype(np.intp)  # recalls below; the next may be equal
    passed = below + (RECALLS.take(below, mode="clip") <= right / some)
    summed = (best * np.diff(passed, axis=0, prepend=0)).sum(axis=0)
    values: NDArray[np.float64] = np.where(objects > 0, summed / len(RECALLS), np.nan)
    return values


def _running_sums(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add to each row those above it, in place; with long rows far quicker than `cumsum`."""
    for row in range(1, len(rows)):
        np.add(rows[row - 1], rows[row], out=rows[row])
    return rows


def _mean_iou(hits: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    return _mean_defined(_divide(hits, predicted + true - hits), axis=1)


def _pixel_accuracy(hits: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    return _divide(hits.sum(axis=1), true.sum(axis=1))


def _class_accuracy(hits: Counts, predicted: Counts, true: Counts) -> NDArray[np.float64]:
    return _mean_defined(_divide(hits, true), axis=1)


CONFUSION = {"miou": _mean_iou, "aacc": _pixel_accuracy, "macc": _class_accuracy}


def _divide(
    above: NDArray[np.float64], below: NDArray[np.float64], *, otherwise: float = np.nan
) -> NDArray[np.float64]:
    """Divide; where the divisor is 0 the result is `otherwise`."""
    result: NDArray[np.float64] = np.full(np.broadcast_shapes(above.shape, below.shape), otherwise)
    np.divide(above, below, out=result, where=below != 0)
    return result


def _mean_defined(values: NDArray[np.float64], axis: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Average the values that are not NaN; NaN where there are none."""
    defined = ~np.isnan(values)
    return _divide(np.where(defined, values, 0.0).sum(axis=axis), defined.sum(axis=axis) * 1.0)
