import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from vitbench.errors import SettingError
from vitbench.neighbors import Bank, Engine, Neighbors, search, vote
from vitbench.neighbors.largest import largest
from vitbench.neighbors.repeats import find_repeats

ENGINES: tuple[Engine, ...] = ("faiss", "torch")


def drawn(rows: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(rows, 24, generator=generator), dim=1)


def clumps(around: Tensor, rows: int, spread: float) -> Tensor:
    """Return rows at such a distance of points, in turns."""
    return normalize(around.repeat(rows // len(around), 1) + spread * drawn(rows, 1), dim=1)


BANKS = {
    "random": drawn(600),
    "collapsed": clumps(drawn(1), 600, 1e-3),
    "collapsed to the last bits": clumps(drawn(1), 600, 1e-6),
    "two clumps": clumps(drawn(2), 600, 1e-4),
    "constant": drawn(1).repeat(600, 1),
    "three rows repeated": drawn(3).repeat(200, 1),
    "two of three rows equal": torch.stack([drawn(200), *(2 * [drawn(1).expand(200, -1)])], dim=1)
    .reshape(600, -1),
    "zero": torch.zeros(600, 24),
}  # fmt: skip


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_rows_come_in_the_order_of_the_bank(engine: Engine) -> None:
    rows = torch.nn.functional.normalize(torch.randn(5, 7, generator=torch.Generator()), dim=1)
    found = search(rows.repeat(30, 1), rows, 12, engine=engine)
    assert found.indices.tolist() == [[row + 5 * n for n in range(12)] for row in range(5)]


@pytest.mark.parametrize("k", [1, 20, 300])
@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS)
@pytest.mark.parametrize("engine", ENGINES)
def test_neighbors_are_those_of_float64_whatever_the_features(
    engine: Engine, bank: Tensor, k: int
) -> None:
    queries = torch.cat([bank[::60], drawn(10, 2)])
    exact = torch.stack([(bank.double() * query.double()).sum(dim=1) for query in queries])
    expected = exact.sort(dim=1, descending=True, stable=True)
    found = search(bank, queries, k, engine=engine)
    assert found.indices.tolist() == expected.indices[:, :k].tolist()
    torch.testing.assert_close(
        found.similarities.double(), expected.values[:, :k], atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_a_bank_answers_for_one_k_after_another(engine: Engine) -> None:
    bank = Bank(BANKS["three rows repeated"], engine=engine)
    found = [bank.search(drawn(3), k).indices for k in (2, 200, 2)]
    assert found[0].equal(found[2])
    assert found[0].equal(found[1][:, :2])


def test_the_largest_are_those_of_a_stable_sort() -> None:
    values = torch.randint(0, 4, (50, 30), generator=torch.Generator().manual_seed(0)).double()
    expected = values.sort(dim=1, descending=True, stable=True)
    for k in (1, 7, 30):
        found, places = largest(values, k)
        assert found.equal(expected.values[:, :k])
        assert places.equal(expected.indices[:, :k])


def test_repeats_are_counted_from_the_first_row_that_is_equal() -> None:
    rows = drawn(3)[[0, 1, 0, 2, 0, 1]]
    found = find_repeats(rows)
    assert found is not None
    assert found.first.tolist() == [0, 1, 0, 3, 0, 1]
    assert found.before.tolist() == [0, 0, 1, 0, 2, 1]
    assert find_repeats(drawn(50)) is None


@pytest.mark.parametrize("engine", ENGINES)
def test_fewer_queries_than_a_block_and_a_bank_of_k_rows_work(engine: Engine) -> None:
    bank = torch.eye(4)
    found = search(bank, torch.tensor([[0.1, 0.4, 0.3, 0.2]]), 4, engine=engine)
    assert found.indices.tolist() == [[1, 2, 3, 0]]
    assert found.similarities.tolist()[0] == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_k_above_the_bank_is_an_error() -> None:
    with pytest.raises(SettingError, match="expected 1 to 4"):
        search(torch.eye(4), torch.eye(4), 5)


def test_a_near_class_outvotes_several_far_ones() -> None:
    found = Neighbors(torch.tensor([[0.9, 0.5, 0.5]]), torch.tensor([[0, 1, 2]]))
    ranked = vote(found, torch.tensor([2, 0, 0]), classes=3, k=3, temperature=0.07)
    assert ranked.tolist() == [[2, 0, 1]]


def test_tied_classes_keep_their_order() -> None:
    found = Neighbors(torch.tensor([[0.5, 0.5]]), torch.tensor([[0, 1]]))
    ranked = vote(found, torch.tensor([3, 1]), classes=4, k=2, temperature=0.07)
    assert ranked.tolist() == [[1, 3]]
