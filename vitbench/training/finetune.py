"""Fine-tuning: the loop under every protocol that trains a network on a task of its own.

The samples are a stream without end, by position: position p belongs to step p // batch size, and
everything random about it is drawn by that number. So a step is the same on one process or many,
in one run or in two, and whatever number of threads makes the samples.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vitbench import distributed
from vitbench.data.loader import in_order
from vitbench.errors import SettingError, Stopped, TrainingError
from vitbench.keyed_random import permutation
from vitbench.models.run_folder import SNAPSHOTS
from vitbench.objectives.progress import Progress
from vitbench.training.fit import Clock
from vitbench.training.interrupt import Interrupt
from vitbench.training.metric_log import MetricLog
from vitbench.training.optimizer import average_gradients
from vitbench.training.options import CheckpointConfig
from vitbench.training.resources import first_line, memory_ran_out
from vitbench.training.schedules import Schedule
from vitbench.training.snapshot import Snapshots, load_snapshot

BATCHES_AHEAD = 3
LOG_EVERY = 20  # steps

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
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float | None = None  # of SGD, which takes the place of AdamW
    shares: Mapping[str, float] = field(default_factory=dict)  # parts of names -> of the rate
    accumulate: int = 1  # parts that a batch is cut into to save memory
    check_every: int = 0  # steps between two checks; 0: none

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return AdamW or SGD over the trained parameters of a model.

        A parameter's rate is the share of the first part that its name has, else the whole.
        """
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                decay = 0.0 if any(part in name for part in self.undecayed) else self.weight_decay
                share = next((self.shares[part] for part in self.shares if part in name), 1.0)
                groups.setdefault((decay, share), []).append(parameter)
        parts: list[dict[str, Any]] = [
            {"params": parameters, "weight_decay": decay, "share": share}
            for (decay, share), parameters in groups.items()
        ]
        if self.momentum is not None:
            return torch.optim.SGD(parts, lr=0.0, momentum=self.momentum)
        return torch.optim.AdamW(parts, lr=0.0, betas=self.betas, fused=True)


class Task(Protocol[SampleT]):
    """What is learned."""

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
    progress: Callable[[str, int, int], None]
    saving: CheckpointConfig = CheckpointConfig()


class FineTuning(Generic[SampleT]):
    """One fine-tuning; it goes on from the newest snapshot in its scratch folder.

    Raises:
        SettingError: The batch does not divide among processes and parts.
    """

    def __init__(
        self, task: Task[SampleT], course: FineTuneConfig, around: FineTuneContext
    ) -> None:
        self.task, self.course, self.around = task, course, around
        parts = distributed.world_size() * course.accumulate
        if course.batch_size % parts:
            raise SettingError(
                [f"a batch of {course.batch_size} can't be cut into {parts} equal parts:"
                 f" {distributed.world_size()} processes, {course.accumulate} parts each"]
            )  # fmt: skip
        self.step = 0
        self.optimizer = course.optimizer(task.model)
        self.snapshots = Snapshots(around.scratch / SNAPSHOTS, around.saving)
        self._resume()

    def finish(self) -> None:
        """Make the steps that are left.

        Raises:
            Stopped: After saving, on SIGTERM, SIGUSR1 or ctrl-C.
            TrainingError: The loss is not finite, memory or disk ran out.
        """
        course, around = self.course, self.around
        if self.step == course.steps:
            return
        metric_log = MetricLog(
            around.output, every=LOG_EVERY, first_step=self.step, callback=lambda _: None
        )
        self._saved_at, self._clock = time.monotonic(), Clock()
        try:
            with Interrupt() as interrupt:
                for samples in self._clock.waiting(self.batches()):
                    self._make_step(samples, metric_log, interrupt)
        except (RuntimeError, MemoryError) as error:
            if memory_ran_out(error):
                raise self._out_of_memory(error) from error
            raise
        finally:
            metric_log.close()
        self._save()

    def _out_of_memory(self, error: Exception) -> TrainingError:
        parts = self.course.accumulate
        return TrainingError(
            f"the memory of {self.around.device} ran out in step {self.step + 1}.",
            expected=f"room for {self._share // parts} samples at once",
            found=first_line(error),
            hint=f"a batch in {2 * parts} parts (accumulate), or more processes",
        )

    def _make_step(
        self, samples: list[SampleT], metric_log: MetricLog, interrupt: Interrupt
    ) -> None:
        alone, last = distributed.world_size() == 1, self.step + 1 == self.course.steps
        full = metric_log.add(self.step + 1, self.learn(samples))
        self.around.progress("fine-tuning", self.step, self.course.steps)
        every = self.course.check_every
        checking = bool(every) and (last or self.step % every == 0)
        if full or last or checking or (alone and interrupt.asked):
            self._write(metric_log)
            if checking:
                metric_log.write({"step": self.step, **self.task.check()})
            self._obey(interrupt)

    def learn(self, samples: list[SampleT]) -> dict[str, Tensor]:
        """Make one step from this process's samples; return what it measured."""
        course, size = self.course, self._share // self.course.accumulate
        for group in self.optimizer.param_groups:
            group["lr"] = group["share"] * course.rate.at(self._progress)
        self.optimizer.zero_grad(set_to_none=True)
        self.task.model.train()
        values: dict[str, Tensor] = {}
        mine = self._positions(self.step)
        for first in range(0, self._share, size):
            part = slice(first, first + size)
            found = self.task.losses(samples[part], mine[part])
            torch.autograd.backward(found["loss"] / course.accumulate)
            for name, value in found.items():
                values[name] = values.get(name, 0) + value.detach() / course.accumulate
        average_gradients(self._trained)
        self.optimizer.step()
        self.step += 1
        return values

    @cached_property
    def _trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.task.model.parameters() if parameter.requires_grad]

    @property
    def _progress(self) -> Progress:
        return Progress(self.step, self.course.steps, epochs=1)

    @property
    def _share(self) -> int:
        """Samples of a step on this process."""
        return self.course.batch_size // distributed.world_size()

    def _positions(self, step: int) -> Positions:
        """Return this process's consecutive part of a step's positions."""
        start = step * self.course.batch_size + distributed.rank() * self._share
        return range(start, start + self._share)

    def batches(self) -> Iterator[list[SampleT]]:
        """Yield this process's samples of every step that is left."""
        steps = range(self.step, self.course.steps)
        positions = (position for step in steps for position in self._positions(step))
        samples = in_order(
            self.task.sample,
            positions,
            workers=self.around.workers,
            ahead=BATCHES_AHEAD * self._share,
        )
        for _ in steps:
            yield list(islice(samples, self._share))

    def _write(self, metric_log: MetricLog) -> None:
        seconds, waited, steps = self._clock.read()
        before = Progress(self.step - 1, self.course.steps, epochs=1)
        metric_log.write_steps(
            {
                "learning_rate": self.course.rate.at(before),
                "images_per_second": steps * self.course.batch_size / max(seconds, 1e-9),
                "waiting": waited / max(seconds, 1e-9),
            }
        )

    def _obey(self, interrupt: Interrupt) -> None:
        """Save if it is time to, or stop if asked."""
        due = time.monotonic() - self._saved_at > 60 * self.around.saving.save_minutes
        asked = interrupt.agreed()
        if asked or distributed.from_main(due):
            self._save()
        if asked:
            where = f"step {self.step} of {self.course.steps}"
            raise Stopped(asked, where, hint="the same command goes on from there")

    def _save(self) -> None:
        if distributed.is_main():
            state = {
                "model": self.task.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
            }
            self.snapshots.save(state, step=self.step)
        self._saved_at = time.monotonic()
        distributed.barrier()

    def _resume(self) -> None:
        found = distributed.from_main(self.snapshots.latest())
        if found is not None:
            state = load_snapshot(found, self.around.device)
            self.task.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.step = state["step"]


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
