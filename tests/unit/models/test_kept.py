"""Tables that are kept."""

import torch
from torch import Tensor

from vitbench.models.kept import kept


def test_a_table_kept_by_an_evaluation_serves_training() -> None:
    made: list[int] = []

    @kept
    def table(size: int) -> Tensor:
        made.append(size)
        return torch.arange(size).float()

    with torch.inference_mode():
        table(3)
    weight = torch.ones(3, requires_grad=True)
    torch.autograd.backward((weight * table(3)).sum())
    assert made == [3]
    assert weight.grad is not None
    assert weight.grad.tolist() == [0, 1, 2]
