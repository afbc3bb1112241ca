"""Average precision and whitening against DINO's evaluation of landmarks and copies."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vitbench_protocols.retrieval.describing import Whitening
from vitbench_protocols.retrieval.precision import judge

VALUES = Path(__file__).parent / "values" / "retrieval.npz"
EASY, HARD, JUNK = range(3)
RULES = {  # what answers, what is left out
    "medium": ((EASY, HARD), (JUNK,)),
    "easy": ((EASY,), (JUNK, HARD)),
    "hard": ((HARD,), (JUNK, EASY)),
}

Arrays = dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module")
def golden() -> Arrays:
    with np.load(VALUES, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def rankings(golden: Arrays) -> NDArray[np.int64]:
    rows, queries = (
        values / np.linalg.norm(values, axis=1, keepdims=True)
        for values in (golden["db"], golden["queries"])
    )
    return np.argsort(-(queries @ rows.T), axis=1, kind="stable")


@pytest.mark.parametrize("rule", RULES)
def test_precision_equals_the_revisited_benchmarks(golden: Arrays, rule: str) -> None:
    right, junk = RULES[rule]
    for query, ranking in enumerate(rankings(golden)):
        grades = golden["grades"][query]
        found = judge(
            ranking,
            np.flatnonzero(np.isin(grades, right)),
            np.flatnonzero(np.isin(grades, junk)),
            (1, 5, 10),
        )
        np.testing.assert_allclose(found.average, 100 * golden[rule][query], atol=1e-9)
        np.testing.assert_allclose(found.at, 100 * golden[f"{rule}_prs"][query], atol=1e-9)


def test_precision_equals_that_of_copies(golden: Arrays) -> None:
    for query, ranking in enumerate(rankings(golden)):
        right = np.flatnonzero(golden["grades"][query] == EASY)
        found = judge(ranking, right, np.zeros(0, np.int64), (1,), shown=20)
        np.testing.assert_allclose(found.average, 100 * golden["copies"][query], atol=1e-9)


def test_whitened_similarities_equal_the_official_ones(golden: Arrays) -> None:
    whiten = Whitening(torch.from_numpy(golden["whitening"]))
    rows, queries = (
        torch.nn.functional.normalize(whiten(torch.from_numpy(golden[name])), dim=1)
        for name in ("db", "queries")
    )
    np.testing.assert_allclose(queries @ rows.T, golden["whitened_similarity"], atol=1e-4)
