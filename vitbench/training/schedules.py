"""Schedules: pure functions of how far a run has come; nothing keeps a step counter of its own."""

import math
from dataclasses import dataclass, replace
from typing import Protocol, Self

from vitbench.objectives.progress import Progress
from vitbench.settings import setting

VALUES = ("start", "end", "warmup_from")  # settings that are values of a schedule, not lengths


class Schedule(Protocol):
    """A number that changes during a run."""

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        ...

    def scaled(self, factor: float) -> Self:
        """Return the schedule for a batch `factor` times as large."""
        ...


@dataclass(frozen=True, slots=True)
class Cosine:
    """Linear warm-up to `start`, then half a cosine wave to `end`.

    Both ends of the warm-up are included, so its first step has the value 0 and `start` occurs
    twice; `end` is never reached. Only `start` grows with the batch.

    Source:
        facebookresearch/dino, utils.py, cosine_scheduler (7c446df).

    Example:
        >>> Cosine(2.0, 0.0).at(Progress(step=5, steps_per_epoch=1, epochs=10))
        1.0
    """

    start: float = setting(help="value after the warm-up", minimum=0)
    end: float = setting(help="value at the end of the cosine", minimum=0)
    warmup_epochs: int = setting(
        0, help="epochs in which the value grows linearly from 0", minimum=0
    )
    ahead: int = setting(0, help="steps by which the schedule is ahead of the run", minimum=0)

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        step = progress.step + self.ahead
        warmup = self.warmup_epochs * progress.steps_per_epoch
        if step < warmup:
            return self.start * step / max(warmup - 1, 1)
        return half_wave(self.start, self.end, step - warmup, progress.steps - warmup)

    def scaled(self, factor: float) -> "Cosine":
        """Return the schedule with its start value times `factor`."""
        return replace(self, start=self.start * factor)


@dataclass(frozen=True, slots=True)
class EpochCosine:
    """VISSL's schedule: linear from `warmup_from` to `start`, then cosine, changed once an epoch.

    Source:
        facebookresearch/vissl, dino_16gpus_deits16.yaml (update_interval: epoch).
    """

    start: float = setting(help="value after the warm-up", minimum=0)
    end: float = setting(help="value at the end of the cosine", minimum=0)
    warmup_epochs: int = setting(0, help="epochs in which the value grows linearly", minimum=0)
    warmup_from: float = setting(0.0, help="value in the first epoch", minimum=0)

    def at(self, progress: Progress) -> float:
        """Return the value for the epoch that is running."""
        if progress.epoch < self.warmup_epochs:
            grown = progress.epoch / self.warmup_epochs
            return self.warmup_from + (self.start - self.warmup_from) * grown
        after = progress.epoch - self.warmup_epochs
        return half_wave(self.start, self.end, after, progress.epochs - self.warmup_epochs)

    def scaled(self, factor: float) -> "EpochCosine":
        """Return the schedule with its start value times `factor`."""
        return replace(self, start=self.start * factor)


@dataclass(frozen=True, slots=True)
class Poly:
    """A power of what is left of the run, times a linear warm-up; changes every step.

    `value(t) = end + (start - end) * (1 - t / steps) ** power`, during the warm-up times
    `1 - (1 - t / warmup_steps) * (1 - warmup_ratio)`.

    Source:
        mmsegmentation 0.x and mmcv 1.x, policy "poly" with warmup "linear", by_epoch False.

    Example:
        >>> Poly(6e-5).at(Progress(step=20_000, steps_per_epoch=40_000, epochs=1))
        3e-05
    """

    start: float = setting(help="value at the first step after the warm-up", minimum=0)
    end: float = setting(0.0, help="value after the last step", minimum=0)
    power: float = setting(
        1.0,
        help="exponent: the value falls with this power of the share of the run that is left",
        minimum=0,
    )
    warmup_steps: int = setting(0, help="steps in which the value grows linearly", minimum=0)
    warmup_ratio: float = setting(
        1e-6, help="share of the value at the very first step", minimum=0, maximum=1
    )

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        left: float = (1 - progress.step / progress.steps) ** self.power
        value = self.end + (self.start - self.end) * left
        return value * grown(progress.step, self.warmup_steps, self.warmup_ratio)

    def scaled(self, factor: float) -> "Poly":
        """Return the schedule with its start value times `factor`."""
        return replace(self, start=self.start * factor)


@dataclass(frozen=True, slots=True)
class Steps:
    """A value that falls to a share of itself at some steps, after a linear warm-up.

    Source:
        mmcv 1.x, policy "step" with warmup "linear".

    Example:
        >>> Steps(1e-4, at_steps=(8, 11)).at(Progress(step=9, steps_per_epoch=12, epochs=1))
        1e-05
    """

    start: float = setting(help="value after the warm-up", minimum=0)
    at_steps: tuple[int, ...] = setting((), help="steps before which the value falls", minimum=0)
    share: float = setting(
        0.1, help="factor by which the value falls each time", minimum=0, maximum=1
    )
    warmup_steps: int = setting(0, help="steps in which the value grows linearly", minimum=0)
    warmup_ratio: float = setting(
        1e-3, help="share of the value at the very first step", minimum=0, maximum=1
    )

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        value = self.start * self.share ** sum(progress.step >= step for step in self.at_steps)
        return value * grown(progress.step, self.warmup_steps, self.warmup_ratio)

    def scaled(self, factor: float) -> "Steps":
        """Return the schedule with its start value times `factor`."""
        return replace(self, start=self.start * factor)


@dataclass(frozen=True, slots=True)
class CosineWithOverlappingWarmup:
    """MoBY's learning rate: a warm-up that covers the head of a cosine over the whole run.

    A step uses the value of the step before it, since the reference sets the rate after the
    optimizer has moved. All values grow with the batch.

    Source:
        SwinTransformer/Transformer-SSL, lr_scheduler.py and moby_main.py (4510de1): timm's
        CosineLRScheduler with warmup_prefix off.
    """

    start: float = setting(help="value at the start of the cosine", minimum=0)
    end: float = setting(help="value at the end of the cosine", minimum=0)
    warmup_epochs: int = setting(0, help="epochs in which the value grows linearly", minimum=0)
    warmup_from: float = setting(0.0, help="value in the first step", minimum=0)

    def at(self, progress: Progress) -> float:
        """Return the value for the step that is about to be made."""
        step = max(progress.step - 1, 0)
        warmup = self.warmup_epochs * progress.steps_per_epoch
        if step < warmup:
            return self.warmup_from + (self.start - self.warmup_from) * step / warmup
        return half_wave(self.start, self.end, step, progress.steps)

    def scaled(self, factor: float) -> "CosineWithOverlappingWarmup":
        """Return the schedule with every value times `factor`."""
        return CosineWithOverlappingWarmup(
            self.start * factor, self.end * factor, self.warmup_epochs, self.warmup_from * factor
        )


def grown(step: int, warmup_steps: int, ratio: float) -> float:
    """Return the share of a value that a linear warm-up has reached; it begins at `ratio`."""
    if step >= warmup_steps:
        return 1.0
    return 1 - (1 - step / warmup_steps) * (1 - ratio)


def half_wave(start: float, end: float, step: int, steps: int) -> float:
    """Return the value of half a cosine wave from `start` (step 0) to `end` (step `steps`)."""
    return end + 0.5 * (start - end) * (1 + math.cos(math.pi * step / max(steps, 1)))
