import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from vitbench_protocols.adjacency.rank_curve import RankCurve


@pytest.mark.parametrize("values", [2, 7, 50, 10_000])  # the fewer, the more are equal
@pytest.mark.parametrize("labels", [2, 3, 40, 1500])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_scores_of_a_ranking_have_scikit_learns_digits(
    values: int, labels: int, share: float
) -> None:
    generator = np.random.default_rng(labels)
    cosines = (generator.integers(0, values, labels) / np.float32(values)).astype(np.float32)
    true = generator.random(labels) < share
    true[:2] = True, False
    found = RankCurve.of(true, cosines)
    assert found.average_precision == average_precision_score(true, cosines)
    assert found.auroc == roc_auc_score(true, cosines)
    precision, recall, thresholds = precision_recall_curve(true, cosines)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-300)
    best = int(f1[:-1].argmax())
    assert found.best_f1 == (thresholds[best], f1[best])
