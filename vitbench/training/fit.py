"""The loop around the step: data in, metric log and snapshots out, until the epochs are done."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from vitbench import distributed
from vitbench.data.training_loader import CropBatch
from vitbench.errors import Stopped, TrainingError
from vitbench.models.export import save_backbone
from vitbench.models.run_folder import RUN_FILE, SNAPSHOTS
from vitbench.online_knn import OnlineKnn
from vitbench.training.identity import Identity, changes, refused
from vitbench.training.interrupt import Interrupt
from vitbench.training.metric_log import MetricLog, Row
from vitbench.training.options import CheckpointConfig, LogConfig
from vitbench.training.resources import first_line, memory_ran_out, writing
from vitbench.training.snapshot import Snapshots, load_snapshot
from vitbench.training.trainer import Trainer

T = TypeVar("T")


class Loader(Protocol):
    """What gives the batches of an epoch, from any step on."""

    @property
    def steps(self) -> int:
        """Batches of one epoch."""

    @property
    def corrupt(self) -> Collection[str]:
        """Ids of the images that were left out because they are broken."""

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[CropBatch]:
        """Yield the batches of an epoch, from a step on."""
        ...


class Run:
    """One run of a trainer in a folder; it goes on from the newest snapshot there.

    Args:
        trainer: What learns.
        loader: What it learns from.
        folder: Where everything goes.
        identity: What the run must have in common with the one that wrote a snapshot.
        allow_changes: Go on from a snapshot all the same if it has not.
        saving: When snapshots are written.
        watching: How often the metric log is.
        probe: The online 20-NN, where there are labels.
        callback: Told every line of the metric log.

    Raises:
        SettingError: The folder holds a run that was made otherwise.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: Loader,
        folder: Path,
        *,
        identity: Identity,
        allow_changes: bool = False,
        saving: CheckpointConfig = CheckpointConfig(),
        watching: LogConfig = LogConfig(),
        probe: OnlineKnn | None = None,
        callback: Callable[[Row], None] = lambda _: None,
    ) -> None:
        self.trainer, self.loader, self.folder = trainer, loader, folder
        self.saving, self.watching, self.probe = saving, watching, probe
        self.snapshots = Snapshots(folder / SNAPSHOTS, saving)
        self.identity, self.allow_changes = identity, allow_changes
        self.changed: dict[str, tuple[Any, Any]] = {}  # since the snapshot: what was, what is
        self.best = float("-inf")
        self._resume()
        self.metric_log = MetricLog(
            folder,
            every=watching.log_every,
            first_step=trainer.step,
            callback=callback,
        )
        self._saved_at = time.monotonic()
        self._clock = Clock()
        self._corrupt = 0  # broken images that were told of

    def fit(self, *, steps: int | None = None) -> Path:
        """Train to the end of the recipe, or for so many steps in all, and write the backbone.

        Returns:
            The file with the teacher's backbone, a checkpoint.

        Raises:
            Stopped: After saving, on SIGTERM, SIGUSR1 or ctrl-C.
            TrainingError: The loss is not finite, memory or disk ran out.
        """
        trainer = self.trainer
        last = min(trainer.progress.steps, steps or trainer.progress.steps)
        try:
            with Interrupt() as interrupt:
                while trainer.step < last:
                    self._epoch(last, interrupt)
        except (RuntimeError, MemoryError) as error:
            if memory_ran_out(error):
                raise out_of_memory(error, trainer) from error
            raise
        finally:
            self.metric_log.close()
        return self.folder / RUN_FILE

    def _epoch(self, last: int, interrupt: Interrupt) -> None:
        """Train to the end of the running epoch, or to the last step."""
        trainer = self.trainer
        epoch, done = divmod(trainer.step, trainer.steps_per_epoch)
        batches = self.loader.epoch(epoch, first_step=done)
        for batch in self._clock.waiting(batches):
            full = self.metric_log.add(trainer.step + 1, trainer.train_step(batch))
            if full or (distributed.world_size() == 1 and (interrupt.asked or self._due)):
                self._write()
                self._obey(interrupt)
            if trainer.step == last:
                break
        self._write()
        names = self._probe(epoch) if trainer.step % trainer.steps_per_epoch == 0 else ()
        self._save(*names)

    def _write(self) -> None:
        """Write the metric log's line of the steps since the last one."""
        trainer = self.trainer
        seconds, waited, steps = self._clock.read()
        batch = trainer.recipe.batch_size
        progress = replace(trainer.progress, step=trainer.step - 1)
        self.metric_log.write_steps(
            {
                "epoch": progress.epoch,
                "of": progress.steps,
                **trainer.recipe.optimizer.values(progress, batch),
                "teacher_momentum": trainer.recipe.teacher_momentum.at(progress),
                "images_per_second": steps * batch / max(seconds, 1e-9),
                "waiting": waited / max(seconds, 1e-9),
                "skipped": trainer.skipped,
                "corrupt": len(self.loader.corrupt),
            }
        )

        if len(self.loader.corrupt) > self._corrupt:
            self._corrupt = len(self.loader.corrupt)
            row = {"step": trainer.step, "epoch": progress.epoch, "of": progress.steps}
            self.metric_log.write({**row, "corrupt_images": sorted(self.loader.corrupt)})

    def _obey(self, interrupt: Interrupt) -> None:
        """Save if it is time to, or stop if asked."""
        asked = interrupt.agreed()
        if asked or distributed.from_main(self._due):
            self._save()
        if asked:
            where = f"step {self.trainer.step} of {self.trainer.progress.steps}"
            raise Stopped(asked, where, hint=f"vitbench resume {self.folder}")

    @property
    def _due(self) -> bool:
        return time.monotonic() - self._saved_at > 60 * self.saving.save_minutes

    def _save(self, *names: str) -> None:
        """Write a snapshot and, for `eval`, the teacher's backbone."""
        trainer = self.trainer
        if distributed.is_main():
            epoch = trainer.progress.epoch
            facts = {"identity": self.identity, "best": self.best, "epoch": epoch}
            state = {**trainer.state_dict(), **facts}
            self.snapshots.save(state, step=trainer.step, names=names)
            teacher = trainer.student_teacher.teacher.backbone
            with writing("the teacher's backbone", self.folder):
                save_backbone(teacher, self.folder / RUN_FILE, method=trainer.recipe.name)
        self._saved_at = time.monotonic()
        distributed.barrier()

    def _probe(self, epoch: int) -> tuple[str, ...]:
        """Score the teacher if it is time to; return the names its snapshot is kept under."""
        done = epoch + 1
        every = self.saving.keep_every
        kept = (f"epoch-{done:04d}.pt",) if every and done % every == 0 else ()
        if self.probe is None or not self.watching.probe_every or done % self.watching.probe_every:
            return kept
        if distributed.is_main():
            score = self.probe.top1(self.trainer.student_teacher.teacher.backbone)
            step, of = self.trainer.step, self.trainer.progress.steps
            self.metric_log.write({"step": step, "epoch": epoch, "of": of, "top1_k20": score})
            if score > self.best:
                self.best, kept = score, (*kept, "best.pt")
        distributed.barrier()
        return kept

    def _resume(self) -> None:
        found = distributed.from_main(self.snapshots.latest())
        if found is None:
            return
        state = load_snapshot(found, self.trainer.device)
        self.changed = changes(state.get("identity", {}), self.identity)
        if self.changed and not self.allow_changes:
            raise refused(repr(str(self.folder)), self.changed)
        try:
            self.trainer.load_state_dict(state)
            self.best = state["best"]
        except (RuntimeError, ValueError, KeyError, AttributeError) as error:
            if memory_ran_out(error):
                raise out_of_memory(error, self.trainer) from error
            raise TrainingError(
                f"the snapshot {str(found)!r} does not fit these settings.",
                expected="weights and memories of the same names and shapes",
                found=str(error).splitlines()[-1].strip(),
                hint="repeat the settings of the run, or --out NEW for another training",
            ) from error


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


def out_of_memory(error: Exception, trainer: Trainer) -> TrainingError:
    """Log what did not fit, and what makes it smaller."""
    recipe, parts = trainer.recipe, trainer.computing.accumulate
    share = recipe.batch_size // distributed.world_size() // parts
    return TrainingError(
        f"the memory of {trainer.device} ran out in step {trainer.step + 1}.",
        expected=f"room for {share} images at once, {len(recipe.crops.sizes)} crops each",
        found=first_line(error),
        hint=f"--accumulate {2 * parts} keeps the batch of {recipe.batch_size}; or fewer "
        "--crops.local-crops, --precision bf16, a smaller --batch-size (a run that has a snapshot "
        "wants --allow-changes too)",
    )
