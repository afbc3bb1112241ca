import numpy as np
import pytest

from vitbench.bootstrap import mean_interval


def test_the_interval_of_a_share_is_that_of_the_normal_approximation() -> None:
    values = np.repeat([0.0, 100.0], [300, 700])
    low, high = mean_interval(values) or (0, 0)
    half = 1.96 * 100 * np.sqrt(0.7 * 0.3 / 1000)
    assert low == pytest.approx(70 - half, abs=0.15)
    assert high == pytest.approx(70 + half, abs=0.15)


def test_many_distinct_values_agree_with_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = mean_interval(values) or (0, 0)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=100)
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, seed=3) != mean_interval(values, seed=4)


def test_undefined_items_are_left_out_and_one_item_has_no_interval() -> None:
    assert mean_interval(np.array([1.0, np.nan])) is None
    assert mean_interval(np.array([2.0, 2.0, np.nan])) == (2.0, 2.0)


def test_the_interval_covers_the_truth_about_95_times_in_100() -> None:
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = mean_interval(generator.binomial(1, 0.3, 150).astype(float)) or (0, 0)
        covered += low <= 0.3 <= high
    assert 180 <= covered <= 199  # 190 expected, sd 3
