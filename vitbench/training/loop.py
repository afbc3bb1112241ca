"""The loop under every training: batches in, steps made, metric log and snapshots out.

The loop knows nothing of what is trained but its steps and its state. So a lack of memory, a
signal, a full disk and a kill end alike in pretraining, fine-tuning and linear probes.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from vitbench import distributed
from vitbench.errors import Stopped, TrainingError
from vitbench.models.run_folder import SNAPSHOTS
from vitbench.training.interrupt import Interrupt
from vitbench.training.metric_log import MetricLog, Row
from vitbench.training.options import CheckpointConfig
from vitbench.training.resources import first_line, memory_ran_out
from vitbench.training.snapshot import Snapshots, load_snapshot

LOG_EVERY = 20  # steps

T = TypeVar("T")
BatchT = TypeVar("BatchT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Milestone:
    """What a task found at the end of an epoch, or when it scored what it has learned."""

    row: Mapping[str, Any] = field(default_factory=dict)  # for the metric log; empty: no line
    keep: tuple[str, ...] = ()  # names of files under which the snapshot is kept for good
    save: bool = False  # write a snapshot now, whenever the last one was


class Task(ABC, Generic[BatchT]):
    """What is trained, step by step, by a `Loop`."""

    step: int  # steps that were made
    device: torch.device

    @property
    @abstractmethod
    def steps(self) -> int:
        """Steps of the whole training."""

    @property
    @abstractmethod
    def batch_size(self) -> int:
        """Images or samples of a step, over all processes."""

    @abstractmethod
    def batches(self) -> Generator[BatchT]:
        """Yield this process's part of the batch of every step that is left."""

    @abstractmethod
    def train_step(self, batch: BatchT) -> Mapping[str, Tensor]:
        """Make one step and count it.

        Returns:
            What was measured, by name: scalars on the device. Empty: nothing to be logged.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on.

        Every process takes part; what the main process returns is written, and what is in shards
        is put together.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to a state of `state_dict`, of however many processes; tensors are whole.

        They are on the CPU: a device may have no room for them beside the task's own.
        """

    def log_values(self) -> Mapping[str, Any]:
        """Return what a line of the metric log says of the last step, besides measured means."""
        return {}

    @property
    def at_milestone(self) -> bool:
        """Whether the step just made calls for `milestone`."""
        return False

    def milestone(self) -> Milestone:
        """Score what was learned, or whatever else an epoch ends with; every process takes part."""
        return Milestone()

    def publication(self) -> Callable[[], None]:
        """Return a function that writes what others read of this state, besides the snapshot.

        Every process takes part; the main one calls it beside the coming steps, so the function
        has a copy of what it writes.
        """
        return lambda: None

    @abstractmethod
    def memory_advice(self) -> tuple[str, str]:
        """Return what a step needs room for, and what makes it smaller."""


class Loop(Generic[BatchT]):
    """Makes the steps of a task; it goes on from the newest snapshot of its folder.

    Args:
        task: What is trained.
        output: Folder of the metric log.
        scratch: Folder of the snapshots; it outlives a kill.
        saving: When snapshots are written.
        log_every: Steps between two lines of the metric log.
        callback: Called with every line of the metric log.
        hint: How a training that was stopped goes on.

    Raises:
        SettingError: The snapshot is of a training that was made otherwise.
        TrainingError: The snapshot does not fit.
    """

    def __init__(
        self,
        task: Task[BatchT],
        *,
        output: Path,
        scratch: Path,
        saving: CheckpointConfig = CheckpointConfig(),
        log_every: int = LOG_EVERY,
        callback: Callable[[Row], None] = lambda _: None,
        hint: str = "the same command goes on from there",
    ) -> None:
        self.task, self.saving, self._hint = task, saving, hint
        self.snapshots = Snapshots(scratch / SNAPSHOTS, saving)
        self._resume()
        self._saved_at, self._saved_step = time.monotonic(), task.step
        self._output, self._log_every, self._callback = output, log_every, callback

    def run(self, *, until: int | None = None) -> None:
        """Make the steps that are left, or so many in all.

        Raises:
            Stopped: After saving, on SIGTERM, SIGUSR1 or ctrl-C.
            TrainingError: The loss is not finite, memory or disk ran out.
        """
        last = min(self.task.steps, until or self.task.steps)
        if self.task.step >= last:
            return
        self._clock = Clock()
        self._log = MetricLog(
            self._output,
            every=self._log_every,
            first_step=self.task.step,
            callback=self._callback,
        )
        try:
            with Interrupt() as interrupt, closing(self.task.batches()) as batches:
                for batch in self._clock.waiting(batches):
                    self._make_step(batch, interrupt, last)
                    if self.task.step == last:
                        break
                if self._saved_step != self.task.step:
                    self._save()
                self._wait_until_saved()
        except (RuntimeError, MemoryError) as error:
            if memory_ran_out(error):
                raise self._out_of_memory(error, f"in step {self.task.step + 1}") from error
            raise
        finally:
            self.snapshots.close()
            self._log.close()

    def _make_step(self, batch: BatchT, interrupt: Interrupt, last: int) -> None:
        """Make one step and whatever is due after it: a line, a milestone, a snapshot, an end."""
        task = self.task
        full = self._log.add(task.step + 1, task.train_step(batch))
        asked, due = distributed.largest(interrupt.asked, distributed.is_main() and self._due)
        if full or due or asked or task.at_milestone or task.step == last:
            self._write_log()  # finds a loss that is not finite before it is saved
        found = task.milestone() if task.at_milestone else Milestone()
        if found.row:
            self._log.write({"step": task.step, **found.row})
        if due or asked or found.save:
            self._save(*found.keep)
        if asked:
            self._wait_until_saved()
            raise Stopped(asked, f"step {task.step} of {task.steps}", hint=self._hint)

    def _write_log(self) -> None:
        seconds, waited, steps = self._clock.read()
        self._log.write_steps(
            {
                **self.task.log_values(),
                "images_per_second": steps * self.task.batch_size / max(seconds, 1e-9),
                "waiting": waited / max(seconds, 1e-9),
            }
        )

    @property
    def _due(self) -> bool:
        return time.monotonic() - self._saved_at > 60 * self.saving.save_minutes

    def _save(self, *names: str) -> None:
        """Write a snapshot beside the coming steps."""
        task = self.task
        self._wait_until_saved()  # one copy of the state at a time
        state, publish = task.state_dict(), task.publication()
        self.snapshots.save(state, step=task.step, names=names, then=publish)
        self._saved_at, self._saved_step = time.monotonic(), task.step

    def _wait_until_saved(self) -> None:
        distributed.compute_on_main(self.snapshots.wait)

    def _resume(self) -> None:
        found = distributed.from_main(self.snapshots.latest())
        if found is None:
            return
        state = load_snapshot(found, torch.device("cpu"))
        try:
            self.task.load_state_dict(state)
        except (RuntimeError, ValueError, KeyError, AttributeError) as error:
            if memory_ran_out(error):
                raise self._out_of_memory(error, "while the snapshot was read") from error
            raise TrainingError(
                f"the snapshot {str(found)!r} does not fit these settings.",
                expected="weights and memories of the same names and shapes",
                found=str(error).splitlines()[-1].strip(),
                hint="repeat the settings of the run, or --out NEW for another training",
            ) from error

    def _out_of_memory(self, error: Exception, when: str) -> TrainingError:
        """Say what did not fit, and what makes it smaller."""
        expected, hint = self.task.memory_advice()
        return TrainingError(
            f"the memory of {self.task.device} ran out {when}.",
            expected=expected,
            found=first_line(error),
            hint=hint,
        )


class Clock:
    """Measures how long steps took and how much of it was waiting for data."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._started, self._waited, self._steps = time.monotonic(), 0.0, 0

    def waiting(self, items: Iterator[T]) -> Iterator[T]:
        """Pass items on, counting them and the time until they are there."""
        while True:
            asked = time.monotonic()
            item = next(items, None)
            self._waited += time.monotonic() - asked
            if item is None:
                return
            self._steps += 1
            yield item

    def read(self) -> tuple[float, float, int]:
        """Return seconds, seconds of waiting and steps since the last reading."""
        found = (time.monotonic() - self._started, self._waited, self._steps)
        self._start()
        return found
