"""What an objective is: one term of a training loss, its head and what it remembers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from vitbench.models.aggregated import patch_tokens
from vitbench.models.backbone import Backbone, Features
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import CropSet


@dataclass(frozen=True, slots=True)
class Branch:
    """One side of the pair, for one batch: what its backbone saw in the crops.

    Crops of one size went through the backbone together and form a group; its rows are
    crop-major (all images of the first crop, then all of the second). Global crops come first.
    """

    groups: tuple[Features, ...]
    crops: tuple[int, ...]  # how many crops each group holds
    head: nn.Module  # this objective's head on this side
    backbone: Backbone
    positives: tuple[Tensor | None, ...]  # per group: neighbors by ground truth (rows, N, 8)

    def image_features(self, count: int | None = None) -> Tensor:
        """Return the image-level features of the first `count` crops, or all: (crops, B, D)."""
        pooled = torch.cat([group.pooled for group in self.groups])
        return pooled.view(sum(self.crops), -1, pooled.shape[-1])[:count]

    def patch_features(self) -> list[Tensor]:
        """Return the patch tokens of each crop, (B, N, D) with the crop's own N."""
        found: list[Tensor] = []
        for group, count in zip(self.groups, self.crops, strict=True):
            found += torch.chunk(patch_tokens(group), count)
        return found


@dataclass(frozen=True, slots=True)
class TermLoss:
    """What one term says of one batch."""

    value: Tensor  # scalar, with gradient
    measures: Mapping[str, Tensor] = field(default_factory=dict)  # scalars for the log, without


class Objective(nn.Module, ABC):
    """One loss term. Its parameters are trained with the student, its buffers are saved.

    A step calls `forward` once for each micro-batch, then `after_backward`, then, when the
    optimizer has moved, `end_step`. What a step changes in the objective's memory (a center, a
    queue) changes in `end_step`, so cutting a batch into micro-batches changes nothing.
    """

    teacher_crops: CropSet = "global"  # which crops the teacher has to see

    @abstractmethod
    def build_head(self) -> nn.Module:
        """Return a new head; the student gets one, the teacher a copy that follows by EMA."""

    @abstractmethod
    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """Return the loss of a batch. The teacher's side carries no gradient."""

    def after_backward(self, head: nn.Module, progress: Progress) -> None:
        """Change the gradients of the student's head, before they are clipped."""

    def end_step(self) -> None:
        """Take into the memory what this step saw."""

    def forget_step(self) -> None:
        """Drop what this step saw: its loss was not finite, so nothing is learned from it."""
