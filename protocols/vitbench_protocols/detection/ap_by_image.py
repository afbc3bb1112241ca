"""The AP of each image by itself: which images to show first, the best and the worst."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench_protocols.detection.truth import Kind

RECALLS = np.linspace(0.0, 1.0, 101)
Items = Mapping[str, NDArray[Any]]  # see `vitbench.score_statistics`
Floats = NDArray[np.float64]
Whole = NDArray[np.intp]


def ap_by_image(items: Items, kind: Kind) -> Floats:
    """Return the AP of each image by itself, over the categories it shows, percent, (n,).

    NaN where there is nothing to be found. All pairs of an image and a category are worked on
    together: the detections of a pair lie side by side, the best first.
    """
    truths, score = items[f"{kind}_truths"], items[f"{kind}_score"]
    pair = items[f"{kind}_image"] * truths.shape[1] + items[f"{kind}_category"]
    order = np.lexsort((-score, pair))
    order = order[truths.ravel()[pair[order]] > 0]  # of categories that their image shows
    pair, matched, ignored = (
        pair[order], items[f"{kind}_matched"][order], items[f"{kind}_ignored"][order]
    )  # fmt: skip
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    ranks = np.arange(len(pair)) - np.repeat(starts, np.diff(starts, append=len(pair)))
    right = _sums_in_pairs(matched & ~ignored, starts)
    wrong = _sums_in_pairs(~matched & ~ignored, starts)
    precision = np.divide(right, right + wrong, out=np.zeros(right.shape), where=right > 0)
    _spread_back(precision, ranks)
    recall = right / truths.ravel()[pair][:, None]
    passed = np.where(right > 0, np.searchsorted(RECALLS, recall, side="right"), 0)
    new = np.diff(passed, axis=0, prepend=0)  # recalls that are reached here first
    new[starts] = passed[starts]
    summed = (precision * new).sum(axis=1) / (len(RECALLS) * precision.shape[1])
    images, shown = pair // truths.shape[1], np.count_nonzero(truths, axis=1)
    sums = np.bincount(images, summed, minlength=len(truths))
    found = np.full(len(truths), np.nan)
    return np.asarray(np.divide(100 * sums, shown, out=found, where=shown > 0))


def _sums_in_pairs(flags: NDArray[np.bool_], starts: Whole) -> Floats:
    """Count flags (d, 10) from the start of each pair on."""
    sums = np.cumsum(flags, axis=0, dtype=np.float64)
    before = np.zeros((len(starts), flags.shape[1]))
    before[1:] = sums[starts[1:] - 1]
    return sums - np.repeat(before, np.diff(starts, append=len(flags)), axis=0)


def _spread_back(precision: Floats, ranks: Whole) -> None:
    """Give each detection the best precision of those after it in its pair, in place."""
    by_rank = np.argsort(-ranks, kind="stable")
    ends = np.cumsum(np.bincount(ranks)[::-1]) if len(ranks) else np.zeros(0, np.intp)
    for start, end in zip([0, *ends], ends, strict=False):
        rows = by_rank[start:end]
        rows = rows[ranks[rows] > 0]
        precision[rows - 1] = np.maximum(precision[rows - 1], precision[rows])
