import numpy as np
import pytest

from vitbench import bootstrap


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "RESAMPLES", 2_000)


def test_the_interval_of_a_share_is_that_of_the_normal_approximation() -> None:
    values = np.repeat([0.0, 100.0], [300, 700])
    low, high = bootstrap.mean_interval(values) or (0, 0)
    half = 1.96 * 100 * np.sqrt(0.7 * 0.3 / 1000)
    assert low == pytest.approx(70 - half, abs=0.15)
    assert high == pytest.approx(70 + half, abs=0.15)


def test_many_distinct_values_agree_with_the_normal_approximation() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    low, high = bootstrap.mean_interval(values) or (0, 0)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


@pytest.mark.parametrize("tail", [0.2, 1.5])  # of a lognormal; the second has far outliers
def test_many_numbers_drawn_in_groups_spread_as_they_do_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tail: float
) -> None:
    values = np.random.default_rng(3).lognormal(sigma=tail, size=2_000)
    one_by_one = bootstrap.resampled_means(values)
    monkeypatch.setattr(bootstrap, "MANY", 1_000)
    grouped = bootstrap.resampled_means(values, seed=1)
    levels, deviation = [0.5, 2.5, 25, 50, 75, 97.5, 99.5], one_by_one.std()
    gaps = np.percentile(grouped, levels) - np.percentile(one_by_one, levels)
    assert np.abs(gaps).max() < 0.12 * deviation  # the outermost by chance alone about 0.05
    assert grouped.std() == pytest.approx(deviation, rel=0.03)
    assert grouped.mean() == pytest.approx(values.mean(), abs=0.04 * deviation)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(2).normal(size=100)
    assert bootstrap.mean_interval(values, seed=3) == bootstrap.mean_interval(values, seed=3)
    assert bootstrap.mean_interval(values, seed=3) != bootstrap.mean_interval(values, seed=4)


def test_undefined_items_are_left_out_and_one_item_has_no_interval() -> None:
    assert bootstrap.mean_interval(np.array([1.0, np.nan])) is None
    assert bootstrap.mean_interval(np.array([2.0, 2.0, np.nan])) == (2.0, 2.0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("items", "trials"), [(8, 400), (30, 400), (300, 200)])
def test_the_interval_of_a_difference_holds_the_truth_95_times_in_100(
    items: int, trials: int
) -> None:
    generator = np.random.default_rng(items)
    truth, held = 1.5, 0
    for trial in range(trials):
        clips = generator.normal(50, 20, size=items)  # hard and easy ones, the same for both
        one = clips + truth + generator.normal(0, 3, size=items)
        other = clips + generator.normal(0, 3, size=items)
        found = bootstrap.paired_mean(one, other, seed=trial)
        assert found is not None
        held += found.low <= truth <= found.high
    # 95 % of 400 has a standard error of 1.1 %, of 200 of 1.5 %
    assert 0.91 <= held / trials <= 0.985


def test_the_interval_of_right_and_wrong_answers_holds_the_truth() -> None:
    generator = np.random.default_rng(0)
    held = 0
    for trial in range(300):
        interval = bootstrap.mean_interval(
            np.where(generator.random(200) < 0.8, 100.0, 0.0), seed=trial
        )
        assert interval is not None
        held += interval[0] <= 80 <= interval[1]
    assert 0.91 <= held / 300 <= 0.985


@pytest.mark.usefixtures("quick")
def test_without_a_difference_five_in_a_hundred_look_like_one() -> None:
    generator = np.random.default_rng(1)
    called = 0
    for trial in range(400):
        one, other = generator.normal(size=(2, 30))
        found = bootstrap.paired_mean(one, other, seed=trial)
        assert found is not None
        called += found.p < 0.05
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0) or abs(found.p - 0.05) < 0.01
    assert 0.02 <= called / 400 <= 0.085


def test_a_difference_is_the_same_for_the_same_seed() -> None:
    one, other = np.random.default_rng(0).normal(size=(2, 100))
    assert bootstrap.paired_mean(one, other, seed=3) == bootstrap.paired_mean(one, other, seed=3)
    assert bootstrap.paired_mean(one, other, seed=3) != bootstrap.paired_mean(one, other, seed=4)


def test_wins_count_ties_half() -> None:
    found = bootstrap.paired_mean(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 2.0, 0.0, 5.0]))
    assert found is not None
    assert found.wins == 50.0


def test_equal_runs_differ_by_nothing() -> None:
    values = np.arange(10.0)
    found = bootstrap.paired_mean(values, values)
    assert found is not None
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_one_item_gives_no_difference() -> None:
    assert bootstrap.paired_mean(np.array([1.0]), np.array([2.0])) is None


def test_items_are_paired_by_their_ids_whatever_their_order() -> None:
    generator = np.random.default_rng(0)
    ids, values = np.array([f"{n}.png" for n in range(40)]), generator.normal(size=40)
    order = generator.permutation(40)
    one = {"ids": ids, "top1": values + 1}
    other = {"ids": ids[order], "top1": values[order]}
    found = bootstrap.paired_difference(one, other, "top1")
    assert found is not None
    assert found.low == pytest.approx(1)
    assert found.high == pytest.approx(1)


def test_a_clip_with_three_objects_weighs_three_times() -> None:
    items = {
        "ids": np.array(["a", "b", "c"]),
        "jf_mean": np.array([10.0, 20.0, 90.0]),
        "weights": np.array([1, 1, 3]),
    }
    zero = {**items, "jf_mean": np.zeros(3)}
    found = bootstrap.paired_difference(items, zero, "jf_mean")
    assert found is not None
    assert found.value == pytest.approx((10 + 20 + 3 * 90) / 5)


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    assert bootstrap.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert bootstrap.holm([0.9, 0.8]) == [1.0, 1.0]
    assert bootstrap.holm([]) == []
