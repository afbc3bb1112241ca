"""Pretraining as a task of the loop: epochs of crops, the online k-NN, the trained backbone."""

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from vitbench import distributed
from vitbench.data.training_loader import CropBatch
from vitbench.models.export import save_backbone
from vitbench.models.run_folder import RUN_FILE
from vitbench.online_knn import OnlineKnn
from vitbench.training.identity import Identity, changes, refused
from vitbench.training.loop import Milestone, Task
from vitbench.training.resources import writing
from vitbench.training.trainer import Trainer


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


class Pretraining(Task[CropBatch]):
    """A trainer that learns from a loader, in a folder.

    Args:
        trainer: What learns.
        loader: What it learns from.
        folder: Where the backbone is written.
        identity: What the run must have in common with the one that wrote a snapshot.
        allow_changes: Go on from a snapshot all the same if it has not.
        keep_every: Epochs between two snapshots that are kept for good; 0: none.
        probe: The online 20-NN, where there are labels.
        probe_every: Epochs between two scores of it.
    """

    def __init__(
        self,
        trainer: Trainer,
        loader: Loader,
        folder: Path,
        *,
        identity: Identity,
        allow_changes: bool = False,
        keep_every: int = 0,
        probe: OnlineKnn | None = None,
        probe_every: int = 1,
    ) -> None:
        self.trainer, self.loader, self.folder = trainer, loader, folder
        self.identity, self.allow_changes = identity, allow_changes
        self.keep_every, self.probe, self.probe_every = keep_every, probe, probe_every
        self.changed: dict[str, tuple[Any, Any]] = {}  # since the snapshot: what was, what is
        self.best = float("-inf")
        self.device = trainer.device
        self._corrupt = 0  # broken images that were logged

    @property
    def step(self) -> int:  # type: ignore[override]
        """Steps that were made."""
        return self.trainer.step

    @property
    def steps(self) -> int:
        """See `Task.steps`."""
        return self.trainer.progress.steps

    @property
    def batch_size(self) -> int:
        """See `Task.batch_size`."""
        return self.trainer.recipe.batch_size

    def batches(self) -> Generator[CropBatch]:
        """See `Task.batches`."""
        epoch, done = divmod(self.step, self.trainer.steps_per_epoch)
        for number in range(epoch, self.trainer.recipe.epochs):
            yield from self.loader.epoch(number, first_step=done if number == epoch else 0)

    def train_step(self, batch: CropBatch) -> Mapping[str, Tensor]:
        """See `Task.train_step`."""
        return self.trainer.train_step(batch)

    def log_values(self) -> Mapping[str, Any]:
        """See `Task.log_values`."""
        recipe, corrupt = self.trainer.recipe, self.loader.corrupt
        progress = replace(self.trainer.progress, step=self.step - 1)
        values: dict[str, Any] = {
            "epoch": progress.epoch,
            "of": progress.steps,
            **recipe.optimizer.values(progress, recipe.batch_size),
            "skipped": self.trainer.skipped,
            "corrupt": len(corrupt),
        }
        if recipe.teacher_momentum is not None:
            values["teacher_momentum"] = recipe.teacher_momentum.at(progress)
        if len(corrupt) > self._corrupt:
            self._corrupt = len(corrupt)
            values["corrupt_images"] = sorted(corrupt)
        return values

    @property
    def at_milestone(self) -> bool:
        """Whether an epoch is done."""
        return self.step % self.trainer.steps_per_epoch == 0

    def milestone(self) -> Milestone:
        """Score the backbone if it is time to, and save whatever the epoch."""
        done = self.step // self.trainer.steps_per_epoch
        kept: tuple[str, ...] = ()
        if self.keep_every and done % self.keep_every == 0:
            kept = (f"epoch-{done:04d}.pt",)
        if self.probe is None or not self.probe_every or done % self.probe_every:
            return Milestone(keep=kept, save=True)
        probe, backbone = self.probe, self.trainer.scored_backbone()

        def measure() -> float:
            assert backbone is not None  # on the main process
            return probe.top1(backbone)

        score = distributed.compute_on_main(measure)
        if score > self.best:
            self.best, kept = score, (*kept, "best.pt")
        row = {"epoch": done - 1, "of": self.steps, "top1_k20": score}
        return Milestone(row=row, keep=kept, save=True)

    def state_dict(self) -> dict[str, Any]:
        """See `Task.state_dict`."""
        facts = {
            "identity": self.identity,
            "best": self.best,
            "epoch": self.trainer.progress.epoch,
        }
        return {**self.trainer.state_dict(), **facts}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See `Task.load_state_dict`.

        Raises:
            SettingError: The state is of a run that was made otherwise.
        """
        self.changed = changes(state.get("identity", {}), self.identity)
        if self.changed and not self.allow_changes:
            raise refused(repr(str(self.folder)), self.changed)
        self.trainer.load_state_dict(state)
        self.best = state["best"]

    def publication(self) -> Callable[[], None]:
        """Write the backbone that is scored, as a checkpoint."""
        scored, method = self.trainer.scored_backbone(), self.trainer.recipe.name
        if scored is None or not distributed.is_main():
            return super().publication()
        backbone = deepcopy(scored).cpu()

        def write() -> None:
            with writing("the backbone", self.folder):
                save_backbone(backbone, self.folder / RUN_FILE, method=method)

        return write

    def memory_advice(self) -> tuple[str, str]:
        """See `Task.memory_advice`."""
        recipe, parts = self.trainer.recipe, self.trainer.computing.accumulate
        share = recipe.batch_size // distributed.world_size() // parts
        return (
            f"room for {share} images at once, {len(recipe.crops.sizes)} crops each",
            f"--accumulate {2 * parts} keeps the batch of {recipe.batch_size}; or fewer "
            "--crops.local-crops, --precision bf16, a smaller --batch-size (a run that has a "
            "snapshot wants --allow-changes too)",
        )
