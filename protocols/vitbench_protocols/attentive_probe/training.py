"""The grid of classifiers as a task of the fine-tuning loop."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import cos, pi
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.api import Backbone, ClassificationDataset, Context
from vitbench.kit import (
    FineTuneConfig,
    FineTuneContext,
    FineTuning,
    Progress,
    RandomCrops,
    Shuffled,
    to_pixels,
)
from vitbench_protocols.attentive_probe.pooling import PoolingGrid

if TYPE_CHECKING:
    from vitbench_protocols.attentive_probe import AttentiveProbe

BATCH_OF_RATES = 256  # images of a batch that learning rates are given for
BETAS = (0.9, 0.95)
BIASES = ("bias",)  # parts of names of parameters that do not decay

Sample = tuple[Tensor, int]  # a crop, uint8 (3, H, W), and its class


class PatchReader:
    """The patches of images, by the frozen backbone."""

    def __init__(self, backbone: Backbone, context: Context, layer: int) -> None:
        self._backbone, self._context, self._layer = backbone, context, layer

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return the patches of images, uint8 (B, 3, H, W), as (B, N, D) float32."""
        images = self._context.normalization(pixels.to(self._context.device, non_blocking=True))
        with torch.inference_mode(), self._context.autocast():
            (features,) = self._backbone(images, (self._layer,))
        patches: Tensor = features.patches.float().flatten(2).transpose(1, 2)
        return patches.clone()  # outside of inference mode: what is learned from


@dataclass(frozen=True, slots=True)
class WarmupCosine:
    """Linear from 0 to `start`, then half a cosine wave to 0; both ends of each are reached."""

    start: float
    warmup_steps: int

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        after = progress.step - self.warmup_steps
        if after < 0:
            return self.start * progress.step / max(self.warmup_steps - 1, 1)
        last = max(progress.steps - self.warmup_steps - 1, 1)
        return self.start * (1 + cos(pi * after / last)) / 2

    def scaled(self, factor: float) -> "WarmupCosine":
        """Return the schedule with its values times `factor`."""
        return WarmupCosine(self.start * factor, self.warmup_steps)


class GridTask:
    """All classifiers of the grid, each with a loss of its own."""

    def __init__(
        self,
        settings: "AttentiveProbe",
        grid: PoolingGrid,
        train: ClassificationDataset,
        read: PatchReader,
        context: Context,
    ) -> None:
        self.model, self._read, self._context = grid, read, context
        self._settings, self._train = settings, train
        self._order = Shuffled(context.seed, len(train))

    def sample(self, position: int) -> Sample:
        """Make the random crop at a position of the stream."""
        crops = RandomCrops(
            self._train,
            self._settings.crop,
            self._settings.crop_scale,
            self._context.seed,
            position // len(self._train),
            "bicubic",
            self._context.resampling,
        )
        found = crops[self._order[position]]
        return to_pixels(found.image), found.target

    def losses(self, samples: list[Sample], positions: range) -> dict[str, Tensor]:
        """Return the mean of the classifiers' losses; one that diverged adds nothing."""
        patches = self._read(torch.stack([pixels for pixels, _ in samples]))
        truth = torch.tensor([target for _, target in samples], device=patches.device)
        logits = self.model(patches)  # (B, G, C)
        each = functional.cross_entropy(
            logits.transpose(1, 2), truth[:, None].expand(-1, logits.shape[1]), reduction="none"
        ).mean(dim=0)
        finite = each.isfinite()
        return {"loss": each[finite].sum() / len(each), "lowest_loss": each.detach()[finite].amin()}

    def check(self) -> Mapping[str, float]:
        """Nothing is looked at on the way."""
        return {}


def train_grid(settings: "AttentiveProbe", task: GridTask, context: Context) -> None:
    """Train the classifiers, (rate, decay) each in the order of `points`."""
    highest = max(settings.learning_rates)
    names = [f"classifiers.{number}." for number in range(len(points(settings)))]
    shares = {n: rate / highest for n, (rate, _) in zip(names, points(settings), strict=True)}
    decays = {n: decay for n, (_, decay) in zip(names, points(settings), strict=True)}
    config = FineTuneConfig(
        steps=settings.steps,
        batch_size=settings.batch_size,
        rate=WarmupCosine(highest * settings.batch_size / BATCH_OF_RATES, settings.warmup_steps),
        weight_decay=0.0,
        undecayed=BIASES,
        betas=BETAS,
        shares=shares,
        decays=decays,
    )
    FineTuning(task, config, FineTuneContext.of(context)).finish()


def points(settings: "AttentiveProbe") -> list[tuple[float, float]]:
    """Return the learning rate and weight decay of each classifier of the grid."""
    return [(rate, decay) for rate in settings.learning_rates for decay in settings.weight_decays]
