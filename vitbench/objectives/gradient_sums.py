"""Sums and rows of all processes through which gradients flow back to each of them."""

import torch
from torch import Tensor
from torch.distributed.nn import functional as reduced

from vitbench import distributed


def sum_with_gradient(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes."""
    if distributed.world_size() == 1:
        return tensor
    found: Tensor = reduced.all_reduce(tensor)  # type: ignore[no-untyped-call]
    return found


def gather_rows_with_gradient(rows: Tensor) -> Tensor:
    """Put the rows of all processes behind one another, in the order of their ranks.

    Every process has equally many.
    """
    before, after = distributed.rank(), distributed.world_size() - 1 - distributed.rank()
    zeros = torch.zeros_like(rows)
    return sum_with_gradient(torch.cat([*[zeros] * before, rows, *[zeros] * after]))
