"""The two stages: choose among heads on a held-out part of train, then train one on all of it."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import Tensor

from vitbench.api import (
    Context,
    FeatureSpec,
    FeatureTable,
    Output,
)
from vitbench.kit import distributed, permutation
from vitbench_protocols.linear_probe.grid import Grid, Head
from vitbench_protocols.linear_probe.saving import Saved
from vitbench_protocols.linear_probe.sources import Source, vectors_of

SAVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """SGD with momentum, a cosine of the epochs, no weight decay."""

    epochs: int
    batch_size: int
    momentum: float

    def scale(self, epoch: int) -> float:
        """Return what base learning rates are multiplied by in an epoch."""
        return self.batch_size / 256 * (1 + cos(pi * epoch / self.epochs)) / 2


@dataclass(frozen=True, slots=True)
class Data:
    """What heads are trained and scored on."""

    context: Context
    spec: FeatureSpec  # of the features that are scored
    source: Source  # of those that are trained on
    widths: Mapping[Output, int]  # D of each output

    def table(self, split: str) -> FeatureTable:
        """Return the features of center crops."""
        return self.context.features(split, self.spec)

    def grid(self, heads: Sequence[Head], classes: int) -> Grid:
        """Make untrained heads."""
        return Grid(
            heads,
            widths=self.widths,
            classes=classes,
            seed=self.context.seed,
            device=self.context.device,
        )


@dataclass(frozen=True, slots=True)
class Places:
    """Place of the right class of every val item, 0 for the first: last epoch and best epoch."""

    last: Tensor
    best: Tensor
    best_epoch: Tensor

    def update(self, epoch: int, places: Tensor) -> None:
        """Take the places of an epoch; the first of equally good epochs is the best."""
        if epoch == 0 or (places < 1).sum() > (self.best < 1).sum():
            self.best.copy_(places)
            self.best_epoch.fill_(epoch)
        self.last.copy_(places)


def choose(heads: list[Head], data: Data, schedule: Schedule, *, share: float) -> Head:
    """Train all heads without a share of train, each process its part, and return the best there.

    Of equally good heads the first one is taken.
    """
    table = data.table("train")
    labels = torch.from_numpy(table.targets)
    order = torch.from_numpy(permutation(data.context.seed, "held-out", length=len(labels)))
    count = max(1, round(len(order) * share))
    kept, held_out = order[count:], order[:count]
    mine = distributed.share(heads)
    grid = data.grid(mine, table.classes)
    _train("choose", grid, data, kept, labels, schedule)
    vectors = vectors_of(table, data.spec.outputs, held_out)
    hits = (grid.places(vectors, labels[held_out]) < 1).double().mean(dim=0).tolist()
    accuracy: dict[Head, float] = {}
    for part in distributed.gather(dict(zip(mine, hits, strict=True))):
        accuracy |= part
    best = max(heads, key=lambda head: accuracy[head])
    data.context.note(
        f"chosen among {len(heads)} heads on {count} held-out train images, "
        f"{100 * accuracy[best]:.2f} % of them right:"
    )
    return best


def finish(head: Head, data: Data, schedule: Schedule) -> Places:
    """Train one head on all of train, and score it on val after each epoch."""
    dataset: Any = data.context.dataset("train")
    labels, table = torch.tensor(dataset.targets), data.table("val")
    grid, vectors = data.grid([head], table.classes), vectors_of(table, data.spec.outputs)
    truth = torch.from_numpy(table.targets)
    scored = Places(torch.zeros_like(truth), torch.zeros_like(truth), torch.zeros(1))

    def score(epoch: int) -> None:
        scored.update(epoch, grid.places(vectors, truth)[:, 0])

    more = (scored.last, scored.best, scored.best_epoch)
    rows = torch.arange(len(labels))
    _train("finish", grid, data, rows, labels, schedule, score, more)
    data.context.note(
        f"best of {schedule.epochs} epochs on val: number {int(scored.best_epoch) + 1}"
    )
    return scored


def _train(
    stage: str,
    grid: Grid,
    data: Data,
    rows: Tensor,
    labels: Tensor,
    schedule: Schedule,
    on_epoch: Callable[[int], None] = lambda epoch: None,
    more_state: Sequence[Tensor] = (),
) -> None:
    """Train every head of a grid on rows of train; a killed run goes on where it was saved."""
    context = data.context
    saved, state = Saved(context.scratch, stage), [*grid.state, *more_state]
    last, labels = time.monotonic(), labels.to(context.device)
    for epoch in range(saved.restore(state), schedule.epochs):
        order = permutation(context.seed, "linear-probe", epoch, length=len(rows))
        batches = torch.split(rows[torch.from_numpy(order)], schedule.batch_size)
        scale = schedule.scale(epoch)
        for batch, vectors in zip(batches, data.source.batches(epoch, batches), strict=True):
            target = labels[batch.to(context.device)]
            grid.step(vectors, target, scale=scale, momentum=schedule.momentum)
        on_epoch(epoch)
        context.progress(f"linear probe, {stage}", epoch + 1, schedule.epochs)
        if distributed.from_main(time.monotonic() - last > SAVE_EVERY_SECONDS):
            saved.save(epoch, state)
            last = time.monotonic()
