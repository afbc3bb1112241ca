"""KoLeo: no image-level feature of a batch lies close to another."""

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.kit import (
    Branch,
    Objective,
    Progress,
    TermLoss,
    distributed,
    gather_rows_with_gradient,
    single_precision,
)

EPS = 1e-8
GLOBAL_CROPS = 2


class KoleoObjective(Objective):
    """The term; it needs no teacher and no head, and has nothing to learn."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`: the sum over the global crops."""
        features = student.image_features(GLOBAL_CROPS)
        return TermLoss(torch.stack([koleo(crop) for crop in features]).sum())


@single_precision
def koleo(features: Tensor) -> Tensor:
    """Return minus the mean logarithm of each row's distance to its nearest neighbor.

    Args:
        features: Rows of this process, shape (B, D); neighbors are those of all processes.
    """
    rows = functional.normalize(features, dim=-1, eps=EPS)
    everybody = gather_rows_with_gradient(rows)
    with torch.no_grad():
        likeness = rows @ everybody.T
        own = torch.arange(len(rows), device=rows.device) + distributed.rank() * len(rows)
        likeness[torch.arange(len(rows), device=rows.device), own] = -1
        nearest = likeness.argmax(dim=1)
    distances = functional.pairwise_distance(rows, everybody[nearest], eps=EPS)
    return -(distances + EPS).log().mean()
