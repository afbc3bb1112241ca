"""DINO's term with balanced targets: every prototype gets the same share of a batch."""

import torch
from torch import Tensor, nn

from methods.settings import SinkhornDino
from vitbench.api import BackboneInfo
from vitbench.kit import (
    Branch,
    Objective,
    Progress,
    TermLoss,
    distributed,
    entropy,
    single_precision,
    view_loss,
)

TEACHERS = 2  # global crops: each is a teacher for every other crop


class SinkhornObjective(Objective):
    """The term; it remembers nothing."""

    def __init__(self, settings: SinkhornDino, info: BackboneInfo) -> None:
        super().__init__()
        self.settings, self.embed_dim = settings, info.embed_dim

    def build_head(self) -> nn.Module:
        """See `Objective.build_head`."""
        return self.settings.build_head(self.embed_dim)

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        settings = self.settings
        with torch.no_grad():
            views = teacher.image_features(TEACHERS)
            logits = teacher.head(views.flatten(0, 1))
            temperature = settings.teacher_temperature_at(progress)
            wanted = balanced(logits, temperature, settings.iterations)
            spread = entropy(wanted)
        seen = student.image_features()
        learned = student.head(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
        value = view_loss(learned, wanted.view(*views.shape[:2], -1), settings.student_temperature)
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})

    def after_backward(self, head: nn.Module, progress: Progress) -> None:
        """Keep the head's last layer as it is in the first epochs."""
        if self.settings.freezes(progress):
            head.freeze_last_layer()  # type: ignore[operator]


@single_precision
def balanced(logits: Tensor, temperature: float, iterations: int) -> Tensor:
    """Turn logits (rows, K) into distributions that use every prototype alike, over all processes.

    The last normalization is that of the rows, so each is a distribution.
    """
    shares = (logits / temperature).exp()
    for _ in range(iterations):
        shares = shares / distributed.sum_over_processes(shares.sum(dim=0))
        shares = shares / shares.sum(dim=1, keepdim=True)
    return shares
