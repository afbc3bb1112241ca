"""Do the neighbors that features choose share the patch's ground truth? Arrays in, scores out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vitbench_protocols.adjacency.rank_curve import RankCurve
from vitbench_protocols.adjacency.truth import Bools, Truth

Floats = NDArray[np.float64]
Choose = Literal["top-k", "threshold"]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The neighbors of each patch, most similar first; arrays (n, 8, h, w)."""

    hits: Bools  # whether the neighbor at this rank is a positive
    chosen: Bools  # whether there is a neighbor at this rank, of a counted patch

    def at(self, k: int) -> tuple[Bools, Bools]:
        """Return the hits and the choices among the first k."""
        return self.hits[:, :k], self.chosen[:, :k]


def rank_neighbors(cosine: NDArray[np.float32], truth: Truth) -> Ranking:
    """Sort the neighbors of each patch by the cosine of their features.

    Equal cosines keep the order of the neighbors, row by row.
    """
    exists = truth.exists & truth.counted[:, None]
    order = np.argsort(np.where(exists, -cosine, np.inf), axis=1, kind="stable")
    return Ranking(
        np.take_along_axis(truth.positive & exists, order, 1),
        np.take_along_axis(exists, order, 1),
    )


def choose(
    cosine: NDArray[np.float32], truth: Truth, how: Choose, *, k: int, threshold: float
) -> Bools:
    """Choose neighbors by features: the k most similar, or those at least so similar.

    Returns:
        Shape (n, 8, h, w), in the order of the neighbors.
    """
    exists = truth.exists & truth.counted[:, None]
    if how == "threshold":
        return exists & (cosine >= threshold)
    order = np.argsort(np.where(exists, -cosine, np.inf), axis=1, kind="stable")
    ranks = np.argsort(order, axis=1)
    return exists & (ranks < k)


def share(part: Bools, whole: Bools) -> Floats:
    """Return how many percent of `whole` are in `part`, for each image; NaN where none are."""
    axes = tuple(range(1, whole.ndim))
    total = np.count_nonzero(whole, axis=axes)
    both = np.count_nonzero(part & whole, axis=axes)
    percent = np.full(len(total), np.nan)
    return np.asarray(np.divide(100.0 * both, total, out=percent, where=total > 0))


def rank_scores(cosine: NDArray[np.float32], truth: Truth) -> tuple[Floats, Floats]:
    """Return the average precision and the AUROC of each image, in percent.

    All pairs of a counted patch and a neighbor are ranked by their cosine. Images whose pairs
    are all positive, or none, have neither score: NaN.
    """
    precision = np.full(len(cosine), np.nan)
    area = np.full(len(cosine), np.nan)
    pairs = truth.exists & truth.counted[:, None]
    for image, mask in enumerate(pairs):
        labels, values = truth.positive[image][mask], cosine[image][mask]
        if labels.any() and not labels.all():
            curve = RankCurve.of(labels, values)
            precision[image], area[image] = 100 * curve.average_precision, 100 * curve.auroc
    return precision, area


def best_threshold(cosine: NDArray[np.float32], truth: Truth) -> tuple[float, float] | None:
    """Return the cosine that parts positives from others best, and its F1 in percent.

    Best is the highest F1 over the pairs of all images together; None if no pair is positive.
    """
    pairs = truth.exists & truth.counted[:, None]
    labels = truth.positive[pairs]
    if not labels.any():
        return None
    threshold, f1 = RankCurve.of(labels, cosine[pairs]).best_f1
    return threshold, 100 * f1
