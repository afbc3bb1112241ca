"""What an engine searches in place of a bank, so that float32 can tell most of its rows apart."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vitbench.neighbors.repeats import Repeats

NEAR = 2e-6  # of the largest product: what float32 can't tell apart for sure
COLLAPSED = 0.1  # of the longest row: where all rows lie closer to their mean, it is taken off
ROWS_AT_ONCE = 1024  # in float64, few enough for a cache


@dataclass(frozen=True, slots=True)
class Searched:
    """Rows with the order of the bank's, and how to ask them.

    Of a collapsed bank, what is searched is q·b - q·m = (q - m)·(b - m) + m·(b - m), m the mean:
    the second part is a further column. It ranks as q·b does, but rounds at the size of the
    differences.
    """

    rows: Tensor  # (m, D), or (m, D + 1) without the mean
    places: Tensor | None  # of these rows in the bank, ascending; None: all of it
    mean: Tensor | None  # (D,) float64, if it was taken off
    longest: float  # row without the further column
    offset: float = 0.0  # largest value of that column

    @classmethod
    def of(cls, bank: Tensor, repeats: Repeats | None, k: int) -> "Searched":
        """Choose what is searched for k neighbors of a bank (M, D) float32."""
        places = None
        if repeats is not None:  # a copy of k earlier rows is never among the nearest
            places = (repeats.before < k).nonzero().flatten()
        if places is None or 2 * len(places) > len(bank):
            rows, places = bank, None
        else:
            rows = bank[places]
        mean = (torch.full_like(rows[:, 0], 1 / len(rows)) @ rows).double()
        longest = float(rows.norm(dim=1).amax())
        if longest - float(mean.norm()) > COLLAPSED * longest:  # so far at least is one from it
            return cls(rows, places, None, longest)
        moved = _moved(rows, mean)
        spread = float(moved[:, :-1].norm(dim=1).amax())
        if spread > COLLAPSED * longest:
            return cls(rows, places, None, longest)
        return cls(moved, places, mean, spread, float(moved[:, -1].abs().amax()))

    def asked(self, queries: Tensor) -> Tensor:
        """Return queries (Q, D) as these rows are asked."""
        if self.mean is None:
            return queries
        moved = (queries - self.mean).float()
        return torch.cat([moved, torch.ones_like(moved[:, :1])], dim=1)

    def near(self, asked: Tensor) -> Tensor:
        """Return by how much products of such queries may be wrong, (Q, 1)."""
        inner = asked if self.mean is None else asked[:, :-1]
        lengths: Tensor = inner.norm(dim=1, keepdim=True)
        return NEAR * (lengths * self.longest + self.offset)

    def numbers_of(self, places: Tensor) -> Tensor:
        """Return the numbers in the bank of rows at some places."""
        return places if self.places is None else self.places[places]

    def products(self, queries: Tensor, found: Tensor) -> Tensor:
        """Return the inner products with rows of the bank, float64, from those that were found."""
        if self.mean is None:
            return found.double()
        return found.double() + (queries.double() @ self.mean)[:, None]


def _moved(rows: Tensor, mean: Tensor) -> Tensor:
    """Return rows without the mean, and how far they lie along it, (m, D + 1) float32."""
    moved = rows.new_empty(len(rows), rows.shape[1] + 1)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        part = rows[first : first + ROWS_AT_ONCE] - mean
        moved[first : first + ROWS_AT_ONCE, :-1] = part
        moved[first : first + ROWS_AT_ONCE, -1] = part @ mean
    return moved
