import pytest
import torch

from vitbench.errors import SettingError
from vitbench.neighbors import Engine, Neighbors, search, vote

ENGINES: tuple[Engine, ...] = ("faiss", "torch")


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_rows_come_in_the_order_of_the_bank(engine: Engine) -> None:
    rows = torch.nn.functional.normalize(torch.randn(5, 7, generator=torch.Generator()), dim=1)
    found = search(rows.repeat(30, 1), rows, 12, engine=engine)
    assert found.indices.tolist() == [[row + 5 * n for n in range(12)] for row in range(5)]


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
    _, ranked = vote(found, torch.tensor([2, 0, 0]), classes=3, k=3, temperature=0.07)
    assert ranked.tolist() == [[2, 0, 1]]


def test_tied_classes_keep_their_order() -> None:
    found = Neighbors(torch.tensor([[0.5, 0.5]]), torch.tensor([[0, 1]]))
    _, ranked = vote(found, torch.tensor([3, 1]), classes=4, k=2, temperature=0.07)
    assert ranked.tolist() == [[1, 3]]
