"""The contract of an objective: one term of a training loss, with its head and buffers."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from vitbench.data.training_loader import CropBatch
from vitbench.keyed_random import keyed_uniform
from vitbench.models.aggregated import patch_tokens
from vitbench.models.backbone import Backbone, Features
from vitbench.models.patch_mask import PatchMask
from vitbench.objectives.crop_features import CropFeatures
from vitbench.objectives.progress import Progress


@dataclass(frozen=True, slots=True)
class Branch:
    """One side, student or teacher, on one batch: its features, made when a term asks for them.

    Terms that ask for the same features share the pass that makes them.
    """

    crops: CropFeatures
    head: nn.Module  # this objective's head on this side
    seed: int = 0  # of the run
    step: int = 0  # of the run, counted from 0
    annotations: Sequence[Tensor] | None = None  # a crop's: (B, …), as the term has prepared them

    @property
    def backbone(self) -> Backbone:
        """The network of this side."""
        return self.crops.backbone

    @property
    def groups(self) -> tuple[int, ...]:
        """How many crops each group holds; the first group is that of the global crops."""
        return self.crops.groups

    def images(self, group: int) -> Tensor:
        """Return the normalized crops of a group, (rows, 3, S, S), crop-major."""
        return self.crops.images(group)

    def features(self, group: int, mask: PatchMask | None = None) -> Features:
        """Return the last layer's features of a group's crops.

        Args:
            group: Its number.
            mask: Patches that the backbone does not see; the same mask shares a pass.
        """
        return self.crops.features(group, mask)

    def image_features(self, count: int | None = None) -> Tensor:
        """Return the image-level features of the first `count` crops, or all: (crops, B, D)."""
        pooled = torch.cat([self.features(group).pooled for group in self._first_groups(count)])
        return pooled.view(-1, len(self.crops.indices), pooled.shape[-1])[:count]

    def patch_features(self, count: int | None = None) -> list[Tensor]:
        """Return the patch tokens of the first `count` crops, or all: (B, N, D), N the crop's."""
        found: list[Tensor] = []
        for group in self._first_groups(count):
            found += torch.chunk(patch_tokens(self.features(group)), self.groups[group])
        return found[:count]

    def annotation(self, group: int) -> Tensor | None:
        """Return what the term has prepared of a group's crops, (rows, …); None: nothing."""
        if self.annotations is None:
            return None
        return torch.cat([self.annotations[number] for number in self.crops.numbers(group)])

    def keyed_uniform(self, stream: str, group: int, *, count: int) -> Tensor:
        """Draw numbers from [0, 1) for each row of a group, (rows, count), on its device.

        They belong to the seed, step, crop and image: the same on any number of processes.

        Args:
            stream: What they are for; streams are independent.
            group: Its number.
            count: Numbers for each row.
        """
        numbers = list(self.crops.numbers(group))
        drawn = [
            keyed_uniform(self.seed, stream, self.step, number, self.crops.indices, count=count)
            for number in numbers
        ]
        return torch.cat([torch.from_numpy(part) for part in drawn]).to(self.crops.device)

    def _first_groups(self, count: int | None) -> range:
        """Return the numbers of the groups that hold the first crops."""
        last, seen = 0, 0
        while last < len(self.groups) and (count is None or seen < count):
            seen += self.groups[last]
            last += 1
        return range(last)


@dataclass(frozen=True, slots=True)
class TermLoss:
    """Loss of one term on one batch, and the values it logs."""

    value: Tensor  # scalar, with gradient
    measures: Mapping[str, Tensor] = field(default_factory=dict)  # scalars for the log, without


class Annotations(Protocol):
    """Annotations of the training images that a term needs beside their pixels."""

    @property
    def fingerprint(self) -> str:
        """What is the same for the same annotations, in hexadecimal."""

    def __call__(self, batch: CropBatch) -> Sequence[Tensor]:
        """Return them for each crop of a batch, each (B, …), on the CPU."""
        ...


class Objective(nn.Module, ABC):
    """One loss term. Its parameters are trained with the student, its buffers are saved.

    A step calls `forward` once for each micro-batch, then `after_backward`, then, when the
    optimizer has moved, `end_step`. What a step changes in the objective's memory (a center, a
    queue) changes in `end_step`, so cutting a batch into micro-batches changes nothing.
    """

    def build_head(self) -> nn.Module:
        """Return a new head; the student gets one, the teacher a copy that follows by EMA."""
        return nn.Identity()

    @abstractmethod
    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """Return the loss of a batch.

        The teacher's side carries no gradient; in a recipe without a teacher it is the student.
        """

    def after_backward(self, head: nn.Module, progress: Progress) -> None:
        """Change the gradients of the student's head, before they are clipped."""

    def end_step(self) -> None:
        """Update the buffers with what this step saw."""

    def forget_step(self) -> None:
        """Drop what this step saw: its loss was not finite, so nothing is learned from it."""
