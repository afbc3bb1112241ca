"""Neighbors that float32 can't tell apart, ranked in float64.

The higher product comes first, of equal ones the lower index.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from vitbench.neighbors.largest import largest
from vitbench.neighbors.repeats import Repeats

ROWS_AT_ONCE = 4096  # in float64


class Crowd(NamedTuple):
    """Which rows may be among the nearest of some queries."""

    candidates: Tensor  # (n, m) bool
    nearest: Tensor  # (n,) the place of the nearest of the m rows, as far as is known
    numbers: Tensor | None  # (m,) of these rows in the bank; None: all of it


def rank_candidates(
    bank: Tensor, queries: Tensor, products: Tensor, indices: Tensor, close: Tensor
) -> tuple[Tensor, Tensor]:
    """Rank candidates (Q, n), exact where one is close to the next (Q, n - 1)."""
    tied = pad(close, (1, 0)) | pad(close, (0, 1))
    query, place = tied.nonzero(as_tuple=True)
    values = products.clone()
    for at in range(0, len(query), ROWS_AT_ONCE):
        q, c = query[at : at + ROWS_AT_ONCE], place[at : at + ROWS_AT_ONCE]
        values[q, c] = (queries[q].double() * bank[indices[q, c]].double()).sum(dim=1)
    by_index = indices.sort(dim=1)
    values = values.gather(1, by_index.indices)
    ranked = values.sort(dim=1, descending=True, stable=True)
    return ranked.values, by_index.values.gather(1, ranked.indices)


def rank_crowd(
    bank: Tensor, repeats: Repeats | None, queries: Tensor, crowd: Crowd, k: int
) -> tuple[Tensor, Tensor]:
    """Find the k nearest of queries that have more near candidates than were found.

    Queries whose nearest row is a candidate of one another are answered together.

    Args:
        bank: All rows.
        repeats: Equal ones among them.
        queries: (n, D).
        crowd: Their candidates.
        k: Neighbors of each query.
    """
    values = queries.new_empty(len(queries), k, dtype=torch.float64)
    indices = torch.empty(values.shape, dtype=torch.int64, device=queries.device)
    left = torch.arange(len(queries), device=queries.device)
    while len(left):
        together = crowd.candidates[left[0], crowd.nearest[left]]
        together[0] = True
        group, left = left[together], left[~together]
        near = crowd.candidates[group].view(torch.uint8)  # any() takes 15 times as long as amax()
        rows = near.amax(dim=0).nonzero().flatten()
        rows = rows if crowd.numbers is None else crowd.numbers[rows]
        values[group], places = largest(_exact(bank, repeats, queries[group], rows), k)
        indices[group] = rows[places]
    return values, indices


def _exact(bank: Tensor, repeats: Repeats | None, queries: Tensor, rows: Tensor) -> Tensor:
    """Return products with some rows of the bank in float64; those of equal rows are equal."""
    copies = None
    if repeats is not None:
        rows, copies = torch.unique(repeats.first[rows], return_inverse=True)
    wide = queries.double()
    parts = [wide @ bank[part].double().t() for part in torch.split(rows, ROWS_AT_ONCE)]
    products = torch.cat(parts, dim=1)
    return products if copies is None else products[:, copies]
