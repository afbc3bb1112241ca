"""The two stages: choose among heads on a held-out part of train, then train one on all of it."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import torch
from torch import Tensor

from vitbench.api import (
    ClassificationDataset,
    Context,
    FeatureSpec,
    FeatureTable,
    Output,
)
from vitbench.kit import CheckpointConfig, Loop, Milestone, Task, distributed, permutation, send
from vitbench_protocols.linear_probe.grid import Grid, Head
from vitbench_protocols.linear_probe.sources import Source, Vectors, kept_on, vectors_of

SAVING = CheckpointConfig(save_minutes=1.0, keep_last=1)


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
    """The features that heads are trained and scored on."""

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

    @property
    def state(self) -> tuple[Tensor, ...]:
        """All of it."""
        return (self.last, self.best, self.best_epoch)


@dataclass(frozen=True, slots=True)
class Scored:
    """The images of a split that are classified after each epoch."""

    vectors: Vectors
    truth: Tensor  # (n,)
    among: Tensor | None  # classes that compete; None: all
    places: Places


class HeadTraining(Task[tuple[Tensor, Vectors]]):
    """The heads of a grid, trained on rows of train.

    Args:
        stage: What is done, in a word.
        grid: This process's heads.
        data: What they are trained on.
        rows: Rows of the train split.
        labels: Of all of its rows.
        schedule: How.
    """

    def __init__(
        self,
        stage: str,
        grid: Grid,
        data: Data,
        rows: Tensor,
        labels: Tensor,
        schedule: Schedule,
    ) -> None:
        self.stage, self.grid, self.data, self.schedule = stage, grid, data, schedule
        self.rows, self.labels = rows, labels.to(data.context.device)
        self.step, self.device = 0, data.context.device
        self.steps_per_epoch = -(-len(rows) // schedule.batch_size)

    def train(self) -> None:
        """Make the steps that are left."""
        context = self.data.context
        Loop(
            self,
            output=context.output / self.stage,
            scratch=context.scratch / self.stage,
            saving=SAVING,
        ).run()

    @property
    def steps(self) -> int:
        """See `Task.steps`."""
        return self.schedule.epochs * self.steps_per_epoch

    @property
    def batch_size(self) -> int:
        """See `Task.batch_size`."""
        return self.schedule.batch_size

    def batches(self) -> Generator[tuple[Tensor, Vectors]]:
        """See `Task.batches`; every process gets all of a batch, since it has heads of its own."""
        first, done = divmod(self.step, self.steps_per_epoch)
        for epoch in range(first, self.schedule.epochs):
            order = permutation(
                self.data.context.seed, "linear-probe", epoch, length=len(self.rows)
            )
            batches = torch.split(self.rows[torch.from_numpy(order)], self.schedule.batch_size)
            left = batches[done if epoch == first else 0 :]
            yield from zip(left, self.data.source.batches(epoch, left), strict=True)

    def train_step(self, batch: tuple[Tensor, Vectors]) -> Mapping[str, Tensor]:
        """Take one step of every head; a head that diverges is no error, so no loss is logged."""
        rows, vectors = batch
        scale = self.schedule.scale(self.step // self.steps_per_epoch)
        target = self.labels[send(rows, self.device)]
        self.grid.step(vectors, target, scale=scale, momentum=self.schedule.momentum)
        self.step += 1
        return {}

    @property
    def at_milestone(self) -> bool:
        """Whether an epoch is done."""
        return self.step % self.steps_per_epoch == 0

    def milestone(self) -> Milestone:
        """Report an epoch."""
        epoch = self.step // self.steps_per_epoch - 1
        row = {"epoch": epoch, "scale": self.schedule.scale(epoch), **self.scores(epoch)}
        self.data.context.progress(
            f"linear probe, {self.stage}", epoch + 1, self.schedule.epochs, "epochs"
        )
        return Milestone(row=row)

    def scores(self, epoch: int) -> Mapping[str, float]:
        """Score the heads after an epoch, where somebody wants to know."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the heads of all processes, by what they are; elsewhere than on main, none."""
        heads: dict[str, list[Tensor]] = {}
        for part in distributed.gather_on_main(self.grid.states()) or ():
            heads |= part
        return {"step": self.step, "heads": heads}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take this process's heads from a state of however many processes."""
        self.grid.load_states(state["heads"])
        self.step = state["step"]

    def memory_advice(self) -> tuple[str, str]:
        """See `Task.memory_advice`."""
        return (
            f"room for {self.batch_size} feature vectors and {len(self.grid.heads)} heads",
            "a smaller --batch-size, fewer --learning-rates, or more processes",
        )


class FinalTraining(HeadTraining):
    """The training of one head on all of train, scored on other splits after each epoch."""

    def __init__(
        self,
        head: Head,
        data: Data,
        labels: Tensor,
        schedule: Schedule,
        scored: Mapping[str, Tensor | None],
    ) -> None:
        tables = [data.table(split) for split in scored]
        grid, rows = data.grid([head], tables[0].classes), torch.arange(len(labels))
        super().__init__("finish", grid, data, rows, labels, schedule)
        self.scored = [
            Scored(
                kept_on(self.device, vectors_of(table, data.spec.outputs)),
                truth := torch.from_numpy(table.targets),
                among,
                Places(torch.zeros_like(truth), torch.zeros_like(truth), torch.zeros(1)),
            )
            for table, among in zip(tables, scored.values(), strict=True)
        ]

    def scores(self, epoch: int) -> Mapping[str, float]:
        """Keep the places of an epoch; return its accuracy."""
        for one in self.scored:
            found = self.grid.places(one.vectors, one.truth, one.among)
            one.places.update(epoch, found[:, 0])
        return {"top1": 100 * (one.places.last < 1).double().mean().item()}

    def state_dict(self) -> dict[str, Any]:
        """See `Task.state_dict`."""
        return {**super().state_dict(), "places": [one.places.state for one in self.scored]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Task.load_state_dict`."""
        super().load_state_dict(state)
        for one, stored in zip(self.scored, state["places"], strict=True):
            for tensor, value in zip(one.places.state, stored, strict=True):
                tensor.copy_(value)


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
    HeadTraining("choose", grid, data, kept, labels, schedule).train()
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


def finish(
    head: Head, data: Data, schedule: Schedule, scored: Mapping[str, Tensor | None]
) -> list[Places]:
    """Train one head on all of train, and score it on other splits after each epoch.

    Args:
        head: What is trained.
        data: Its features.
        schedule: How it is trained.
        scored: The splits, the one that counts last, with the classes that compete; None: all.
    """
    dataset = data.context.dataset("train")
    assert isinstance(dataset, ClassificationDataset), f"{dataset.info.kind} without classes"
    training = FinalTraining(head, data, torch.tensor(dataset.targets), schedule, scored)
    training.train()
    places = [one.places for one in training.scored]
    data.context.note(
        f"best of {schedule.epochs} epochs on {[*scored][-1]}: "
        f"number {int(places[-1].best_epoch) + 1}"
    )
    return places
