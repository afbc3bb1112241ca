"""What the self-distilling objectives share: settings, sharpened targets, cross-entropy."""

from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from vitbench.models.backbone import BackboneInfo
from vitbench.objectives.centring import Centre
from vitbench.objectives.heads import ProjectionHead
from vitbench.objectives.objective import Objective, Progress
from vitbench.objectives.precision import single_precision
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """Settings of a term in which a student predicts its teacher's prototypes."""

    prototypes: int = setting(65536, help="K, width of the logits", minimum=2)
    hidden_dim: int = setting(2048, help="width of the head's hidden layers", minimum=1)
    bottleneck_dim: int = setting(256, help="width of the head's unit sphere", minimum=1)
    batch_norm: bool = setting(False, help="BatchNorm in the head")
    normalize_last_layer: bool = setting(True, help="keep the prototypes' lengths at 1")
    freeze_last_layer_epochs: int = setting(
        1, help="epochs in which the head's last layer does not move", minimum=0
    )
    student_temperature: float = setting(
        0.1, help="sharpness of the student's softmax", minimum=0.001
    )
    teacher_temperature: float = setting(
        0.04, help="the teacher's, after its warm-up", minimum=0.001
    )
    warmup_teacher_temperature: float = setting(
        0.04, help="the teacher's in the first epoch", minimum=0.001
    )
    warmup_teacher_temperature_epochs: int = setting(
        0, help="epochs of linear growth of the teacher's temperature", minimum=0
    )
    centre_momentum: float = setting(
        0.9, help="share of the old centre that a step keeps", minimum=0, maximum=1
    )

    def build_head(self, embed_dim: int) -> ProjectionHead:
        """Return the projection head for features of a width."""
        return ProjectionHead(
            embed_dim,
            self.prototypes,
            hidden_dim=self.hidden_dim,
            bottleneck_dim=self.bottleneck_dim,
            normalize_last_layer=self.normalize_last_layer,
            batch_norm=self.batch_norm,
        )

    def teacher_temperature_at(self, progress: Progress) -> float:
        """Return the teacher's temperature, one value an epoch.

        It grows along `linspace(warm-up value, value, warm-up epochs)`, then stays.
        """
        first, last = self.warmup_teacher_temperature, self.teacher_temperature
        epochs = self.warmup_teacher_temperature_epochs
        if progress.epoch >= epochs:
            return last
        return first + (last - first) * progress.epoch / max(epochs - 1, 1)

    def freezes(self, progress: Progress) -> bool:
        """Tell whether the heads' last layers must not move in this step."""
        return progress.epoch < self.freeze_last_layer_epochs


SettingsT = TypeVar("SettingsT", bound=Distillation)


class DistillationObjective(Objective, Generic[SettingsT]):
    """What they share at work: a head, a centre, a last layer that waits."""

    def __init__(self, settings: SettingsT, info: BackboneInfo) -> None:
        super().__init__()
        self.settings, self.embed_dim = settings, info.embed_dim
        self.centre = Centre(settings.prototypes, settings.centre_momentum)

    def build_head(self) -> nn.Module:
        """See `Objective.build_head`."""
        return self.settings.build_head(self.embed_dim)

    def after_backward(self, head: nn.Module, progress: Progress) -> None:
        """Keep the head's last layer as it is in the first epochs."""
        if self.settings.freezes(progress):
            head.freeze_last_layer()  # type: ignore[operator]

    def end_step(self) -> None:
        """Move the centre."""
        self.centre.update()

    def forget_step(self) -> None:
        """See `Objective.forget_step`."""
        self.centre.forget()


@single_precision
def targets(logits: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """Turn a teacher's logits into target distributions.

    Args:
        logits: Shape (..., K).
        centre: What is taken off first, shape (1, K).
        temperature: Of the softmax; small is sharp.
    """
    return ((logits - centre) / temperature).softmax(dim=-1)


@single_precision
def entropy(distributions: Tensor) -> Tensor:
    """Return the mean entropy of distributions (..., K), in nats: 0 to log K."""
    return -torch.xlogy(distributions, distributions).sum(dim=-1).mean()
