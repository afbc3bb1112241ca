"""Neighbors that float32 can't tell apart, ranked in float64.

The higher product comes first, of equal ones the lower index.
"""

import torch
from torch import Tensor
from torch.nn.functional import pad

from vitbench.neighbors.largest import largest
from vitbench.neighbors.repeats import Repeats
from vitbench.neighbors.searched import Searched

PAIRS_AT_ONCE = 4096  # rows in float64
PRODUCTS_AT_ONCE = 2**25


def rank_candidates(
    bank: Tensor, queries: Tensor, products: Tensor, indices: Tensor, close: Tensor
) -> tuple[Tensor, Tensor]:
    """Rank candidates (Q, n), exact where one is close to the next (Q, n - 1)."""
    tied = pad(close, (1, 0)) | pad(close, (0, 1))
    query, place = tied.nonzero(as_tuple=True)
    values = products.clone()
    for at in range(0, len(query), PAIRS_AT_ONCE):
        q, c = query[at : at + PAIRS_AT_ONCE], place[at : at + PAIRS_AT_ONCE]
        values[q, c] = (queries[q].double() * bank[indices[q, c]].double()).sum(dim=1)
    by_index = indices.sort(dim=1)
    values = values.gather(1, by_index.indices)
    ranked = values.sort(dim=1, descending=True, stable=True)
    return ranked.values, by_index.values.gather(1, ranked.indices)


def rank_crowds(
    bank: Tensor,
    repeats: Repeats | None,
    searched: Searched,
    queries: Tensor,
    nearest: Tensor,
    least: Tensor,
    k: int,
) -> tuple[Tensor, Tensor]:
    """Find the k nearest of queries that have more near candidates than were found.

    Queries whose nearest row is a candidate of one another are answered together.

    Args:
        bank: All rows.
        repeats: Equal ones among them.
        searched: What was searched.
        queries: (Q, D).
        nearest: Place of the nearest searched row, (Q,).
        least: What a product must be at least to be a candidate's, (Q, 1).
        k: Neighbors of each query.
    """
    values = queries.new_empty(len(queries), k, dtype=torch.float64)
    indices = torch.empty(values.shape, dtype=torch.int64, device=queries.device)
    at_once = max(1, PRODUCTS_AT_ONCE // len(searched.rows))
    for todo in torch.split(torch.arange(len(queries), device=queries.device), at_once):
        candidates = searched.asked(queries[todo]) @ searched.rows.t() >= least[todo]
        left = torch.arange(len(todo), device=queries.device)
        while len(left):
            together = candidates[left[0], nearest[todo[left]]]
            together[0] = True
            group, left = left[together], left[~together]
            rows = candidates[group].any(dim=0).nonzero().flatten()
            rows = rows if searched.places is None else searched.places[rows]
            products = _exact(bank, repeats, queries[todo[group]], rows)
            values[todo[group]], places = largest(products, k)
            indices[todo[group]] = rows[places]
    return values, indices


def _exact(bank: Tensor, repeats: Repeats | None, queries: Tensor, rows: Tensor) -> Tensor:
    """Return products with some rows of the bank in float64; those of equal rows are equal."""
    copies = None
    if repeats is not None:
        rows, copies = repeats.first[rows].unique(return_inverse=True)
    wide = queries.double()
    parts = [wide @ bank[part].double().t() for part in torch.split(rows, PAIRS_AT_ONCE)]
    products = torch.cat(parts, dim=1)
    return products if copies is None else products[:, copies]
