"""Which rows of a bank are copies of earlier ones."""

from typing import NamedTuple

import torch
from torch import Tensor

ROWS_AT_ONCE = 1024  # few enough for a cache
SAMPLED = 8  # columns; rows that differ in them are not looked at again


class Repeats(NamedTuple):
    """For each row: the first one that is equal to it, and how many of those come before it."""

    first: Tensor  # (M,) int64; its own number where none comes before
    before: Tensor  # (M,) int64


def find_repeats(rows: Tensor) -> Repeats | None:
    """Find equal rows among (M, D) float32; None where all differ.

    Rows are compared by a hash of their bits, then in full.
    """
    keys = _keys(rows[:, :: max(1, rows.shape[1] // SAMPLED)])
    alike = _shared(keys)
    for part in torch.split(alike, ROWS_AT_ONCE):
        keys[part] = _keys(rows[part])
    if not len(alike) or not len(_shared(keys[alike])):
        return None
    sorted_keys, order = keys.sort(stable=True)
    starts = torch.ones_like(sorted_keys, dtype=torch.bool)
    starts[1:] = sorted_keys[1:] != sorted_keys[:-1]
    places = torch.arange(len(rows), device=rows.device)
    start = torch.where(starts, places, 0).cummax(dim=0).values
    first, before = torch.empty_like(order), torch.empty_like(order)
    first[order], before[order] = order[start], places - start
    return Repeats(first, before) if _confirmed(rows, first) else None


def _keys(rows: Tensor) -> Tensor:
    """Hash each row, (M,) int64: a sum of its bits by fixed odd factors, modulo 2**64."""
    generator = torch.Generator().manual_seed(0)
    top = torch.iinfo(torch.int64)
    factors = torch.randint(top.min, top.max, (rows.shape[1],), generator=generator) | 1
    factors = factors.to(rows.device)
    parts = torch.split(rows, ROWS_AT_ONCE)
    return torch.cat(
        [(part.contiguous().view(torch.int32).long() * factors).sum(dim=1) for part in parts]
    )


def _shared(keys: Tensor) -> Tensor:
    """Return where keys stand that more than one row has."""
    _, group, sizes = torch.unique(keys, return_inverse=True, return_counts=True)
    shared: Tensor = sizes[group] > 1
    return shared.nonzero().flatten()


def _confirmed(rows: Tensor, first: Tensor) -> bool:
    """Whether the rows are what their hashes say; else nothing is known of them."""
    copies = (first != torch.arange(len(rows), device=rows.device)).nonzero().flatten()
    return all(
        torch.equal(rows[part], rows[first[part]]) for part in torch.split(copies, ROWS_AT_ONCE)
    )
