"""Batched L-BFGS against scikit-learn's logistic regression, which has the same objective."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from vitbench_protocols.logistic.fitting import fit

C_VALUES = (1e-4, 1e-2, 1.0, 10.0)
CLASSES, WIDTH = 5, 12


def drawn(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return overlapping classes whose channels have very different variances."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, CLASSES, rows)
    centers = generator.normal(size=(CLASSES, WIDTH))
    features = (centers[labels] + 1.5 * generator.normal(size=(rows, WIDTH))) * np.geomspace(
        0.1, 10, WIDTH
    )
    return features + 3.0, labels


def probabilities(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
    return found


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("rows", [10, 200])  # fewer and more than channels
def test_probabilities_equal_scikit_learn(intercept: bool, rows: int) -> None:
    features, labels = drawn(rows)
    found = fit(
        torch.from_numpy(features),
        torch.from_numpy(labels),
        C_VALUES,
        intercept=intercept,
        tolerance=1e-13,
    )
    for place, c in enumerate(C_VALUES):
        oracle = LogisticRegression(C=c, fit_intercept=intercept, max_iter=20_000, tol=1e-10)
        oracle.fit(features, labels)
        ours = features @ found.weight[place].numpy().T + found.bias[place].numpy()
        np.testing.assert_allclose(probabilities(ours), oracle.predict_proba(features), atol=2e-4)
        ranked = found.ranked(torch.from_numpy(features), 1)[place, :, 0].numpy()
        assert (ranked == oracle.predict(features)).all()
