"""Base of the self-distilling objectives: sharpened targets, cross-entropy, center."""

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from vitbench.models.backbone import BackboneInfo
from vitbench.objectives.centering import Center
from vitbench.objectives.objective import Objective
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Distillation

SettingsT = TypeVar("SettingsT", bound=Distillation)


class DistillationObjective(Objective, Generic[SettingsT]):
    """Base of the self-distilling objectives: projection head, center, frozen last layer."""

    def __init__(self, settings: SettingsT, info: BackboneInfo) -> None:
        super().__init__()
        self.settings, self.embed_dim = settings, info.embed_dim
        self.center = Center(settings.prototypes, settings.center_momentum)

    def build_head(self) -> nn.Module:
        """See `Objective.build_head`."""
        return self.settings.build_head(self.embed_dim)

    def after_backward(self, head: nn.Module, progress: Progress) -> None:
        """Freeze the head's last layer in the first epochs."""
        if self.settings.freezes(progress):
            head.freeze_last_layer()  # type: ignore[operator]

    def end_step(self) -> None:
        """Move the center."""
        self.center.update()

    def forget_step(self) -> None:
        """See `Objective.forget_step`."""
        self.center.forget()


@single_precision
def targets(logits: Tensor, center: Tensor, temperature: float) -> Tensor:
    """Turn a teacher's logits into target distributions.

    Args:
        logits: Shape (..., K).
        center: What is taken off first, shape (1, K).
        temperature: Of the softmax; small is sharp.
    """
    return (logits - center).div_(temperature).softmax(dim=-1)


@single_precision
def entropy(distributions: Tensor) -> Tensor:
    """Return the mean entropy of distributions (..., K), in nats: 0 to log K."""
    return -torch.xlogy(distributions, distributions).sum(dim=-1).mean()
