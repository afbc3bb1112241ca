"""Fine-tuning as a task of the loop, under every protocol that trains a network of its own.

The samples are a stream without end, by position: position p belongs to step p // batch size, and
everything random about it is drawn by that number. So a step is the same on one process or many,
in one run or in two, and whatever number of threads makes the samples.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitbench import distributed
from vitbench.data.loader import in_order
from vitbench.errors import SettingError
from vitbench.keyed_random import permutation
from vitbench.objectives.progress import Progress
from vitbench.training.loop import Loop, Milestone, Task
from vitbench.training.options import CheckpointConfig
from vitbench.training.parallel import ParallelLoss
from vitbench.training.schedules import Schedule

BATCHES_AHEAD = 3

SampleT = TypeVar("SampleT")
Positions = range  # of a batch's samples in the stream


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """How a model learns: how long, how fast, from how many samples at once."""

    steps: int
    batch_size: int  # samples of a step, over all processes
    rate: Schedule
    weight_decay: float
    undecayed: tuple[str, ...] = ()  # parts of names of parameters that do not decay
    decays: Mapping[str, float] = field(default_factory=dict)  # parts of names -> weight decay
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float | None = None  # of SGD, which takes the place of AdamW
    shares: Mapping[str, float] = field(default_factory=dict)  # parts of names -> of the rate
    accumulate: int = 1  # parts that a batch is cut into to save memory
    check_every: int = 0  # steps between two checks; 0: none

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return AdamW or SGD over the trained parameters of a model.

        A parameter's rate is the share of the first part that its name has, else the whole;
        likewise its weight decay.
        """
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                decay = _first_of(self.decays, name, self.weight_decay)
                if any(part in name for part in self.undecayed):
                    decay = 0.0
                share = _first_of(self.shares, name, 1.0)
                groups.setdefault((decay, share), []).append(parameter)
        parts: list[dict[str, Any]] = [
            {"params": parameters, "weight_decay": decay, "share": share}
            for (decay, share), parameters in groups.items()
        ]
        if self.momentum is not None:
            return torch.optim.SGD(parts, lr=0.0, momentum=self.momentum)
        return torch.optim.AdamW(parts, lr=0.0, betas=self.betas, fused=True)


def _first_of(values: Mapping[str, float], name: str, default: float) -> float:
    return next((value for part, value in values.items() if part in name), default)


class Learnable(Protocol[SampleT]):
    """What is learned from samples: a model, its samples and their losses."""

    @property
    def model(self) -> nn.Module:
        """What is trained and saved, on its device."""

    def sample(self, position: int) -> SampleT:
        """Make the sample at a position of the stream; called by several threads at once."""
        ...

    def losses(self, samples: list[SampleT], positions: Positions) -> dict[str, Tensor]:
        """Return `loss`, with gradient, and what else the curves show; scalars on the device.

        The loss of a batch is the mean of the losses of its equal parts.
        """
        ...

    def check(self) -> Mapping[str, float]:
        """Score the model as it is, for the curves; every process takes part."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneContext:
    """Where a fine-tuning computes, writes and reports."""

    device: torch.device
    workers: int  # threads that make samples
    scratch: Path  # for snapshots; outlives a kill
    output: Path  # for the metric log
    progress: Callable[[str, int, int, str], None]
    saving: CheckpointConfig = CheckpointConfig()

    @classmethod
    def of(cls, run: "_Run") -> Self:
        """Return those of a protocol's run: its `Context`."""
        return cls(
            device=run.device,
            workers=run.workers,
            scratch=run.scratch,
            output=run.output,
            progress=run.progress,
        )


class _Run(Protocol):
    """What a fine-tuning takes of the run that it is part of."""

    @property
    def device(self) -> torch.device: ...
    @property
    def workers(self) -> int: ...
    @property
    def scratch(self) -> Path: ...
    @property
    def output(self) -> Path: ...
    def progress(self, task: str, done: int, total: int, unit: str = "") -> None: ...


class FineTuning(Task[list[SampleT]]):
    """One fine-tuning as a task of the loop; `finish` goes on where a killed run was.

    Raises:
        SettingError: The batch does not divide among processes and parts.
    """

    def __init__(
        self, problem: Learnable[SampleT], config: FineTuneConfig, context: FineTuneContext
    ) -> None:
        self.problem, self.config, self.context = problem, config, context
        parts = distributed.world_size() * config.accumulate
        if config.batch_size % parts:
            raise SettingError(
                [f"a batch of {config.batch_size} can't be cut into {parts} equal parts:"
                 f" {distributed.world_size()} processes, {config.accumulate} parts each"]
            )  # fmt: skip
        self.step, self.device = 0, context.device
        self.optimizer = config.optimizer(problem.model)
        self.loss = ParallelLoss([problem.model], self._losses)
        self.loop = Loop(
            self, output=context.output, scratch=context.scratch, saving=context.saving
        )

    def finish(self) -> None:
        """Make the steps that are left.

        Raises:
            Stopped: After saving, on SIGTERM, SIGUSR1 or ctrl-C.
            TrainingError: The loss is not finite, memory or disk ran out.
        """
        self.loop.run()

    @property
    def steps(self) -> int:
        """See `Task.steps`."""
        return self.config.steps

    @property
    def batch_size(self) -> int:
        """See `Task.batch_size`."""
        return self.config.batch_size

    def batches(self) -> Generator[list[SampleT]]:
        """Yield this process's samples of every step that is left."""
        steps = range(self.step, self.steps)
        positions = (position for step in steps for position in self._positions(step))
        samples = in_order(
            self.problem.sample,
            positions,
            workers=self.context.workers,
            ahead=BATCHES_AHEAD * self._share,
        )
        for _ in steps:
            yield list(islice(samples, self._share))

    def train_step(self, batch: list[SampleT]) -> Mapping[str, Tensor]:
        """Make one step from this process's samples; return what it measured."""
        size = self._share // self.config.accumulate
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * self.config.rate.at(self._progress(self.step))
        self.optimizer.zero_grad(set_to_none=True)
        self.problem.model.train()
        mine = self._positions(self.step)
        cuts = [slice(first, first + size) for first in range(0, self._share, size)]
        values = self.loss.backward([(batch[cut], mine[cut]) for cut in cuts])
        self.optimizer.step()
        self.step += 1
        self.context.progress("fine-tuning", self.step, self.steps, "steps")
        return values

    def log_values(self) -> Mapping[str, Any]:
        """See `Task.log_values`."""
        return {"learning_rate": self.config.rate.at(self._progress(self.step - 1))}

    @property
    def at_milestone(self) -> bool:
        """Whether the model is to be scored now."""
        every = self.config.check_every
        return bool(every) and (self.step == self.steps or self.step % every == 0)

    def milestone(self) -> Milestone:
        """Score the model as it is."""
        return Milestone(row=self.problem.check())

    def state_dict(self) -> dict[str, Any]:
        """See `Task.state_dict`."""
        return {
            "model": self.problem.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Task.load_state_dict`."""
        self.problem.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def memory_advice(self) -> tuple[str, str]:
        """See `Task.memory_advice`."""
        parts = self.config.accumulate
        return (
            f"room for {self._share // parts} samples at once",
            f"a batch in {2 * parts} parts (accumulate), or more processes",
        )

    def _losses(self, part: tuple[list[SampleT], Positions]) -> dict[str, Tensor]:
        return self.problem.losses(*part)

    def _progress(self, step: int) -> Progress:
        return Progress(step, self.steps, epochs=1)

    @property
    def _share(self) -> int:
        """Samples of a step on this process."""
        return self.batch_size // distributed.world_size()

    def _positions(self, step: int) -> Positions:
        """Return this process's consecutive part of a step's positions."""
        start = step * self.batch_size + distributed.rank() * self._share
        return range(start, start + self._share)


@dataclass(frozen=True, slots=True)
class Shuffled:
    """Which item of a set each position of the stream is: every epoch a new order."""

    seed: int
    items: int

    def __getitem__(self, position: int) -> int:
        epoch, place = divmod(position, self.items)
        return int(_order(self.seed, epoch, self.items)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, items: int) -> NDArray[np.int64]:
    return permutation(seed, "order", epoch, length=items)
