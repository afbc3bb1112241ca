import numpy as np
import pytest

from vitbench.keyed_random import keyed_uniform, permutation, philox

KNOWN = (  # Random123, kat_vectors, philox4x32 10: counter, key, answer
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
)  # fmt: skip


def words(text: str) -> list[np.uint64]:
    return [np.uint64(int(word, 16)) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN)
def test_philox_gives_the_published_answers(counter: str, key: str, answer: str) -> None:
    a, b, c, d = (np.array(word) for word in words(counter))
    left, right = words(key)
    assert [int(word) for word in philox((left, right), (a, b, c, d))] == words(answer)


def test_a_draw_does_not_depend_on_its_neighbors() -> None:
    together = keyed_uniform(1, "crops", 5, np.arange(40)[:, None], np.arange(10), count=33)
    assert together.shape == (40, 10, 33)
    np.testing.assert_array_equal(together[17, 3], keyed_uniform(1, "crops", 5, 17, 3, count=33))


def test_more_numbers_begin_with_the_same_numbers() -> None:
    np.testing.assert_array_equal(
        keyed_uniform(1, "crops", 2, count=9)[:5], keyed_uniform(1, "crops", 2, count=5)
    )


@pytest.mark.parametrize("other", [(2, "a", 3, 4), (1, "b", 3, 4), (1, "a", 4, 4), (1, "a", 3, 5)])
def test_every_part_of_the_address_matters(other: tuple[int, str, int, int]) -> None:
    seed, stream, *counters = other
    here = keyed_uniform(1, "a", 3, 4, count=8)
    assert not np.any(here == keyed_uniform(seed, stream, *counters, count=8))


def test_the_numbers_are_spread_evenly() -> None:
    drawn = keyed_uniform(0, "test", np.arange(20_000), count=4)
    assert 0 <= drawn.min() < drawn.max() < 1
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(4), atol=0.03)
    assert np.ptp(np.histogram(drawn, bins=10, range=(0, 1))[0]) < 600  # 8,000 each, sigma 85


def test_a_permutation_holds_each_number_once_and_changes_with_the_epoch() -> None:
    first = permutation(0, "order", 0, length=1000)
    assert sorted(first.tolist()) == list(range(1000))
    assert np.mean(first == permutation(0, "order", 1, length=1000)) < 0.02
