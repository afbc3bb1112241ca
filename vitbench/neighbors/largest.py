"""The largest values of a row by selection, with a rule for equal ones."""

import torch
from torch import Tensor


def largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest values of each row (Q, k), largest first, and their places.

    Equal values keep the order of their places, as in a stable sort of the whole row.

    Args:
        values: (Q, M) without NaN.
        k: 1 to M.
    """
    found = values.topk(k, dim=1)
    places, border = found.indices, found.values[:, -1:]
    tied = ((values >= border).sum(dim=1) > k).nonzero().flatten()
    if len(tied):  # not all that equal the last one are among them: the first ones shall be
        rows, last = values[tied], border[tied]
        above, equal = rows > last, rows == last
        room = k - above.sum(dim=1, keepdim=True)
        kept = above | (equal & (equal.cumsum(dim=1) <= room))
        numbers = torch.arange(kept.shape[1], device=kept.device)
        places[tied] = numbers.where(kept, kept.shape[1]).topk(k, largest=False).values
    places = places.sort(dim=1).values
    ranked = torch.sort(values.gather(1, places), dim=1, descending=True, stable=True)
    return ranked.values, places.gather(1, ranked.indices)
