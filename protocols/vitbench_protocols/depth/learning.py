"""Learning a head on frozen feature maps: the task that the core's fine-tuning loop runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from vitbench.api import Backbone, Context, Dataset, Sample
from vitbench.kit import (
    FineTuneConfig,
    FineTuneContext,
    FineTuning,
    Progress,
    Shuffled,
    distributed,
    gather_rows_with_gradient,
    seeded,
)
from vitbench_protocols.depth.errors import depth_loss
from vitbench_protocols.depth.heads import DptHead, LinearHead
from vitbench_protocols.depth.views import View, central_view, changed

if TYPE_CHECKING:
    from vitbench_protocols.depth import Depth

LOWEST = 0.01  # share of the learning rate that a training begins with


class MapReader:
    """The maps that a head reads: of the last block, with its image-level feature, or of four."""

    def __init__(self, settings: "Depth", backbone: Backbone, context: Context) -> None:
        self._backbone, self._context = backbone, context
        info, self._linear = backbone.info, settings.head == "linear"
        self._layers = (-1,) if self._linear else quarters(info.depth)
        if not self._linear:
            backbone.check_raw()
        self._stride = math.lcm(*(info.stage(layer).stride for layer in self._layers))
        side = settings.size + -settings.size % self._stride
        backbone.check_images(side, side)
        self.widths = [info.stage(layer).width for layer in self._layers]
        if self._linear:
            self.widths.append(info.pooled_width(-1))

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        """Return the maps of images, uint8 (B, 3, S, S): (B, D, h, w) float32 each."""
        images = self._context.normalization(pixels.to(self._context.device, non_blocking=True))
        missing = -images.shape[-1] % self._stride
        low, high = missing // 2, missing - missing // 2
        with torch.inference_mode(), self._context.autocast():
            found = self._backbone(pad(images, (low, high) * 2), self._layers, norm=self._linear)
        maps = [features.patches.float() for features in found]
        if self._linear:
            pooled = found[-1].pooled.float()[..., None, None]
            maps.append(pooled.expand(-1, -1, *maps[0].shape[2:]))
        size = maps[-1].shape[2:]
        return [
            (
                level if level.shape[2:] == size else interpolate(level, size, mode="bilinear")
            ).clone()
            for level in maps
        ]


def quarters(depth: int) -> tuple[int, ...]:
    """Return the last blocks of the four quarters of a network.

    Source:
        mbanani/probe3d, evals/models/dino.py (a1f1464).
    """
    return tuple(max(0, depth * part // 4 - 1) for part in (1, 2, 3, 4))


def make_head(settings: "Depth", widths: list[int], seed: int) -> nn.Module:
    """Return a head with its first weights."""
    head: nn.Module
    if settings.head == "linear":
        head = seeded(LinearHead, widths, settings.max_depth, seed=seed)
    else:
        head = seeded(DptHead, widths, settings.max_depth, settings.hidden, seed=seed)
    return head


def predicted(head: nn.Module, maps: list[Tensor], size: int) -> Tensor:
    """Return the depth of squares of some pixels, (B, size, size) meters."""
    found: Tensor = interpolate(head(maps), (size, size), mode="bilinear", align_corners=True)
    return found[:, 0]


@dataclass(frozen=True, slots=True)
class WarmupQuarterWave:
    """Linear from nearly 0 to `start`, then a quarter of a cosine wave back.

    Source:
        mbanani/probe3d, evals/utils/optim.py, cosine_decay_linear_warmup (a1f1464).
    """

    start: float
    warmup_steps: float

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        if progress.step <= self.warmup_steps:
            share = progress.step / self.warmup_steps if self.warmup_steps else 1.0
        else:
            after = progress.step - self.warmup_steps
            share = math.cos(math.pi / 2 * after / (progress.steps - self.warmup_steps))
        return self.start * (LOWEST + (1 - LOWEST) * share)

    def scaled(self, factor: float) -> "WarmupQuarterWave":
        """Return the schedule with its values times `factor`."""
        return WarmupQuarterWave(self.start * factor, self.warmup_steps)


class DepthTask:
    """A head that learns the depth of training images."""

    def __init__(
        self,
        settings: "Depth",
        head: nn.Module,
        train: Dataset[Sample[Any]],
        read: MapReader,
        context: Context,
    ) -> None:
        self.model, self._settings, self._train = head, settings, train
        self._read, self._context = read, context
        self._order = Shuffled(context.seed, len(train))

    def sample(self, position: int) -> View:
        """Make the view at a position of the stream."""
        settings = self._settings
        view = central_view(self._train[self._order[position]], settings.size, settings.max_depth)
        return changed(view, self._context.seed, position) if settings.augment else view

    def losses(self, samples: list[View], positions: range) -> dict[str, Tensor]:
        """Return the loss of the batch of all processes: it is no mean over images."""
        maps = self._read(torch.stack([pixels for pixels, _ in samples]))
        found = predicted(self.model, maps, self._settings.size)
        truth = torch.stack([depth for _, depth in samples]).to(found.device)
        everything = gather_rows_with_gradient(found), distributed.gather_rows(truth)
        return {"loss": depth_loss(*everything)}

    def check(self) -> Mapping[str, float]:
        """Nothing is looked at on the way."""
        return {}


def learn(settings: "Depth", task: DepthTask, images: int, context: Context) -> None:
    """Train the head, going on from where a killed run was."""
    epoch = -(-images // settings.batch_size)  # steps
    config = FineTuneConfig(
        steps=settings.epochs * epoch,
        batch_size=settings.batch_size,
        rate=WarmupQuarterWave(
            settings.learning_rate, min(settings.warmup_epochs, settings.epochs / 2) * epoch
        ),
        weight_decay=settings.weight_decay,
    )
    FineTuning(task, config, FineTuneContext.of(context)).finish()
