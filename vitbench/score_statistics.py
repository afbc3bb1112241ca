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
        objects, by_image = (counts @ truths).T.copy(), counts.T.astype(np.int32)
        found = np.empty((matched.shape[1], *objects.shape))  # (IoUs, categories, R)
        for index, group in enumerate(groups):
            found[:, index] = _average_precisions(
                by_image[image[group]], matched[group], ignored[group], objects[index]
            )
        return 100 * _mean_defined(found, axis=(0, 1))

    return Statistic(evaluate, 1_000)


def _average_precisions(
    drawn: NDArray[np.int32],
    matched: NDArray[np.bool_],
    ignored: NDArray[np.bool_],
    objects: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the AP of one category at each IoU, (IoUs, R); NaN where it has no objects.

    Args:
        drawn: How often each detection occurs in each resample, the best one first, (d, R).
        matched: Whether it was matched at each IoU, (d, IoUs).
        ignored: Whether it does not count there, (d, IoUs).
        objects: How many there are to be found, (R,).
    """
    hit = matched & ~ignored
    rows = np.flatnonzero(hit.any(axis=1))
    times = drawn[rows].astype(np.float64)
    seen = _accumulated(np.add, drawn.copy())[rows].astype(np.float64)
    distinct, column = np.unique(objects, return_inverse=True)
    most = min(times.sum(axis=0).max(initial=0), objects.max())
    passed = _recalls_passed(int(most), distinct)
    found = np.empty((hit.shape[1], len(objects)))
    for level in range(hit.shape[1]):
        hits = np.flatnonzero(hit[rows, level])
        counted = seen[hits]
        if ignored[:, level].any():
            counted -= _seen_of(drawn, np.flatnonzero(ignored[:, level]), rows[hits])
        found[level] = _summed_precision(times[hits], counted, passed, column)
    return np.where(objects > 0, found / len(RECALLS), np.nan)


def _seen_of(
    drawn: NDArray[np.int32], some: NDArray[np.intp], hits: NDArray[np.intp]
) -> NDArray[np.int32]:
    """Count how often some detections were drawn up to each of the hits; (d, R) -> (hits, R)."""
    sums = np.zeros((len(some) + 1, drawn.shape[1]), dtype=np.int32)
    sums[1:] = drawn[some]
    return _accumulated(np.add, sums)[np.searchsorted(some, hits)]


def _recalls_passed(most: int, objects: NDArray[np.float64]) -> NDArray[np.float64]:
    """Count the recalls that 0, 1, … `most` right detections reach; (n,) -> (most + 1, n)."""
    reached = np.arange(most + 1)[:, None] / np.maximum(objects, 1.0)
    return np.searchsorted(RECALLS, reached, side="right").astype(np.float64)


def _summed_precision(
    times: NDArray[np.float64],
    counted: NDArray[np.float64],
    passed: NDArray[np.float64],
    column: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Sum the best precision at or beyond each recall that is reached; (hits, R) -> (R,).

    Recall and the best precision change at right detections alone. Arrays are used up: this is the
    inner loop of a report.

    Args:
        times: How often each right detection occurs, (hits, R).
        counted: How many detections count up to it, (hits, R).
        passed: How many recalls are passed by 0, 1, … right ones.
        column: The column of `passed` for each resample, (R,).
    """
    right = _accumulated(np.add, times)
    best = np.divide(right, np.maximum(counted, 1.0, out=counted), out=counted)
    _accumulated(np.maximum, best[::-1])
    right *= passed.shape[1]
    right += column
    reached = passed.take(
        right.astype(np.intp), mode="clip"
    )  # more than there are objects pass all
    right[:1] = reached[:1]
    np.subtract(reached[1:], reached[:-1], out=right[1:])
    summed: NDArray[np.float64] = np.einsum("kr,kr->r", best, right)
    return summed


def _accumulated(combine: np.ufunc, rows: NDArray[Any]) -> NDArray[Any]:
    """Combine each row with those above it, in place; far quicker than `combine.accumulate`."""
    above = None
    for row in rows:
        above = row if above is None else combine(row, above, out=row)
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
