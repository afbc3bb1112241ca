"""Features against the ground truth, on cosines whose scores are known."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench_protocols.adjacency.features import score
from vitbench_protocols.adjacency.match import (
    best_threshold,
    choose,
    rank_neighbors,
    rank_scores,
    share,
)
from vitbench_protocols.adjacency.rank_curve import KS
from vitbench_protocols.adjacency.truth import Truth

N, SIDE = 3, 4


def make_truth(positive: NDArray[np.bool_]) -> Truth:
    n, _, h, w = positive.shape
    return Truth(
        indices=np.arange(n),
        ids=np.array([f"{number}.jpg" for number in range(n)]),
        positive=positive,
        exists=np.ones_like(positive),
        counted=np.ones((n, h, w), np.bool_),
        category=np.zeros((n, h, w), np.int32),
        border_distance=np.zeros((n, h, w), np.float32),
    )


def random_truth(seed: int = 0, share_positive: float = 0.4) -> Truth:
    generator = np.random.default_rng(seed)
    return make_truth(generator.random((N, 8, SIDE, SIDE)) < share_positive)


def scores(cosine: NDArray[np.float32], truth: Truth) -> dict[str, float]:
    chosen = choose(cosine, truth, "top-k", k=4, threshold=0)
    items, whole = score(cosine, chosen, truth, 0.95)
    found = {
        name: float(np.nanmean(values))
        for name, values in items.items()
        if not np.isnan(values).all()
    }
    return {**found, **{name: value for name, value in whole.items() if value is not None}}


def test_cosines_of_the_truth_itself_are_perfect() -> None:
    truth = random_truth()
    found = scores(truth.positive.astype(np.float32), truth)
    assert found["ap"] == found["auroc"] == found["best_f1"] == 100
    assert found["best_threshold"] == 1
    assert found["positives_mean"] == truth.counts.mean()
    assert found["precision_at_8"] == pytest.approx(found["chance"])


def test_cosines_against_the_truth_are_the_worst() -> None:
    truth = random_truth()
    found = scores(-truth.positive.astype(np.float32), truth)
    assert found["auroc"] == 0
    assert found["precision_at_1"] < found["precision_at_8"]


def test_equal_cosines_are_chance() -> None:
    truth = random_truth()
    found = scores(np.zeros((N, 8, SIDE, SIDE), np.float32), truth)
    assert found["auroc"] == 50
    assert found["ap"] == pytest.approx(found["chance"])


def test_equal_cosines_keep_the_order_of_the_neighbors() -> None:
    truth = random_truth()
    chosen = choose(np.zeros((N, 8, SIDE, SIDE), np.float32), truth, "top-k", k=3, threshold=0)
    assert chosen[:, :3].all()
    assert not chosen[:, 3:].any()


def test_scores_worked_out_by_hand() -> None:
    positive = np.zeros((1, 8, 1, 1), np.bool_)
    positive[0, [0, 2]] = True  # ranks 1 and 3 of the cosines below
    cosine = np.linspace(0.9, 0.2, 8, dtype=np.float32).reshape(1, 8, 1, 1)
    found = scores(cosine, make_truth(positive))
    assert found["ap"] == pytest.approx(100 * (1 / 1 + 2 / 3) / 2)
    assert found["auroc"] == pytest.approx(100 * 11 / 12)
    assert [round(found[f"precision_at_{k}"], 2) for k in KS] == [100, 50, 50, 33.33, 25]
    assert (found["precision"], found["recall"]) == (50, 100)
    assert found["best_threshold"] == pytest.approx(0.7)
    assert found["best_f1"] == pytest.approx(80)


def test_ranking_equals_choosing_at_every_k() -> None:
    truth = random_truth(1)
    truth.exists[:, 0] = False
    truth.counted[0, 0, 0] = False
    cosine = np.random.default_rng(2).random((N, 8, SIDE, SIDE)).astype(np.float32)
    ranking = rank_neighbors(cosine, truth)
    for k in range(1, 9):
        chosen = choose(cosine, truth, "top-k", k=k, threshold=0)
        np.testing.assert_array_equal(share(*ranking.at(k)), share(truth.positive, chosen))


def test_missing_neighbors_are_never_chosen() -> None:
    truth = random_truth()
    truth.exists[:, 5] = False
    cosine = np.ones((N, 8, SIDE, SIDE), np.float32)
    for how in ("top-k", "threshold"):
        chosen = choose(cosine, truth, how, k=8, threshold=0.5)
        np.testing.assert_array_equal(chosen, truth.exists)


def test_missing_neighbors_take_no_place_among_the_first() -> None:
    truth = random_truth()
    truth.exists[:, 5] = False
    cosine = np.zeros((N, 8, SIDE, SIDE), np.float32)
    cosine[:, 5] = 1
    chosen = choose(cosine, truth, "top-k", k=2, threshold=0)
    assert (chosen.sum(1) == 2).all()
    assert rank_neighbors(cosine, truth).chosen[:, :7].all()


def test_images_without_contrast_have_no_rank_scores() -> None:
    positive = np.stack(
        [np.zeros((8, 2, 2)), np.ones((8, 2, 2)), np.eye(8)[:, :4].reshape(8, 2, 2)]
    )
    cosine = np.random.default_rng(0).random((3, 8, 2, 2)).astype(np.float32)
    precision, area = rank_scores(cosine, make_truth(positive.astype(np.bool_)))
    assert np.isnan(precision).tolist() == np.isnan(area).tolist() == [True, True, False]


def test_no_positive_has_no_best_threshold() -> None:
    truth = make_truth(np.zeros((1, 8, 2, 2), np.bool_))
    cosine = np.ones((1, 8, 2, 2), np.float32)
    assert best_threshold(cosine, truth) is None
    assert "best_threshold" not in scores(cosine, truth)


def test_the_order_of_images_moves_no_score() -> None:
    truth = random_truth(3)
    cosine = np.random.default_rng(4).random((N, 8, SIDE, SIDE)).astype(np.float32)
    order = np.array([2, 0, 1])
    turned = replace(truth, positive=truth.positive[order])
    assert scores(cosine[order], turned) == pytest.approx(scores(cosine, truth))
