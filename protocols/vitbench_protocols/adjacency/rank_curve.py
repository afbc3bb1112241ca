"""Labels ranked by values: one sort, from which every score of the ranking follows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

KS = (1, 2, 4, 6, 8)  # neighbors that are chosen by rank, of which the precision is told
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankCurve:
    """How many labels are found at each threshold, from the highest value to the lowest.

    The scores have scikit-learn's digits: they are summed in its order.
    """

    thresholds: NDArray[np.floating[Any]]  # (t,) the distinct values, descending
    right: Floats  # (t,) labels that are true among those of at least this value
    wrong: Floats  # (t,) and those that are not

    @staticmethod
    def of(labels: NDArray[np.bool_], values: NDArray[np.floating[Any]]) -> "RankCurve":
        """Rank labels, both (n,), n > 0."""
        order = np.argsort(-values, kind="stable")
        values = values[order]
        ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
        right = np.cumsum(labels[order], dtype=np.float64)[ends]
        return RankCurve(values[ends], right, 1 + ends - right)

    @property
    def average_precision(self) -> float:
        """The mean precision over the true labels, 0 to 1; there must be one.

        Source: scikit-learn, `average_precision_score`.
        """
        recall = np.append(self._recall[::-1], 0.0)
        return float(max(0.0, -np.sum(np.diff(recall) * self._precision[::-1])))

    @property
    def auroc(self) -> float:
        """The area under the ROC curve, 0 to 1; there must be labels of both kinds.

        Source: scikit-learn, `roc_auc_score`: points between others on a line are left out.
        """
        corner = np.ones(len(self.right), np.bool_)
        corner[1:-1] = (np.diff(self.wrong, 2) != 0) | (np.diff(self.right, 2) != 0)
        wrong, right = (np.append(0.0, each[corner]) for each in (self.wrong, self.right))
        across, up = wrong / wrong[-1], right / right[-1]
        return float((np.diff(across) * (up[1:] + up[:-1]) / 2.0).sum())

    @property
    def best_f1(self) -> tuple[float, float]:
        """The threshold of the highest F1, the lowest of equals, and that F1, 0 to 1.

        There must be a true label.
        """
        precision, recall = self._precision[::-1], self._recall[::-1]
        both = precision + recall
        f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)
        best = int(f1.argmax())
        return float(self.thresholds[::-1][best]), float(f1[best])

    @property
    def _recall(self) -> Floats:
        return np.asarray(self.right / self.right[-1])

    @property
    def _precision(self) -> Floats:
        return np.asarray(self.right / (self.right + self.wrong))
