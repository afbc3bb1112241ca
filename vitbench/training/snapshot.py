"""Snapshots: the whole state of a training run in one file, written so that none is ever broken."""

import logging
import os
import random
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitbench import distributed
from vitbench.errors import TrainingError
from vitbench.outside_files import refused_as
from vitbench.records import atomic
from vitbench.training.options import CheckpointConfig
from vitbench.training.resources import first_line, memory_ran_out, writing
from vitbench.training.sharding import put_together

STEPS = "step-{:09d}.pt"
# of a random generator that is not the same here, or of numbers that are no state of one
MISFITS = (RuntimeError, ValueError, TypeError, KeyError, AttributeError, OverflowError)


class Snapshots:
    """The snapshots of one run: `step-N.pt` (the newest), `epoch-N.pt` (kept), `best.pt`.

    They are written beside the steps that follow. A file appears under its name only when it is
    whole and on disk; a full disk leaves the older ones as they are.

    Args:
        folder: Where they lie; made when the first one is written.
        saving: Which of them are kept.
    """

    def __init__(self, folder: Path, saving: CheckpointConfig) -> None:
        self.folder, self.saving = folder, saving
        self._writer = ThreadPoolExecutor(1, "snapshot")
        self._writing: Future[None] | None = None

    def save(
        self,
        state: Mapping[str, Any],
        *,
        step: int,
        names: tuple[str, ...] = (),
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Copy a state and begin to write it; `wait` tells how that ended.

        Every process takes part, since what is in shards is put together; the main one writes.

        Args:
            state: What `torch.load` reads without running code: tensors, numbers, text and
                containers of them.
            step: Steps done.
            names: Further names under which the file is kept for good, such as `epoch-0010.pt`.
            then: Called when the file is written.
        """
        copied = copy_on_main({**state, "random": random_states()})
        if not distributed.is_main():
            return

        def work() -> None:
            self._write(copied, step, names)
            then()

        self._writing = self._writer.submit(work)

    def wait(self) -> None:
        """Wait until the last snapshot is written.

        Raises:
            TrainingError: It can't be written. The older snapshots are still there.
        """
        written, self._writing = self._writing, None
        if written is not None:
            written.result()

    def close(self) -> None:
        """Let what is being written come to its end, whatever it is."""
        self._writer.shutdown()

    def latest(self) -> Path | None:
        """Return the newest snapshot, if there is one."""
        return next(iter(self._newest_first()), None)

    def _write(self, state: Mapping[str, Any], step: int, names: tuple[str, ...]) -> None:
        """Write a snapshot, then remove what is older than the newest few."""
        target = self.folder / STEPS.format(step)
        good = self.latest()
        hint = f"make room and resume from {good.name}" if good else "make room, start again"
        with writing(f"the snapshot of step {step}", self.folder, hint=hint):
            self.folder.mkdir(parents=True, exist_ok=True)
            with atomic(target) as path, path.open("wb") as stream:
                torch.save(state, stream)
                stream.flush()
                os.fsync(stream.fileno())
            for name in names:
                with atomic(self.folder / name) as path:
                    path.unlink()
                    path.hardlink_to(target)
        for old in self._newest_first()[self.saving.keep_last :]:
            old.unlink(missing_ok=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self.folder.glob("step-*.pt"), reverse=True)


def copy_on_main(tree: Any) -> Any:
    """Copy all tensors of a tree to the CPU, so that the next step can't change them.

    What is in shards is put together, one tensor at a time. The main process alone gets copies,
    the others None in the place of each tensor.
    """
    if isinstance(tree, Tensor):
        whole = put_together(tree.detach())
        return whole.to("cpu", copy=True) if distributed.is_main() else None
    if isinstance(tree, Mapping):
        return {name: copy_on_main(part) for name, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(copy_on_main(part) for part in tree)
    return tree


def load_snapshot(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a snapshot and put the random generators back to where they were.

    Raises:
        TrainingError: The file is no snapshot, or memory ran out.
    """
    with refused_as(partial(_refusal, path, device)):
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        states = state.pop("random")
    restore_random_states(states)
    return state


def _refusal(path: Path, device: torch.device, error: Exception) -> TrainingError:
    if memory_ran_out(error):
        return TrainingError(
            f"the memory of {device} ran out while {str(path)!r} was read.",
            found=first_line(error),
            hint="end what else computes there, or take another --device",
        )
    return TrainingError(
        f"{str(path)!r} is no snapshot.",
        found=first_line(error),
        hint="remove it; the run goes on from the one before",
    )


def random_states() -> dict[str, Any]:
    """Return the state of every global random generator.

    The trainer draws by address and needs none of them; a plug-in's objective may.
    """
    kind, words, *rest = np.random.get_state()  # noqa: NPY002  (the state of others' draws)
    return {
        "python": random.getstate(),
        "numpy": [kind, torch.tensor(np.asarray(words).astype(np.int64)), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_states(states: Mapping[str, Any]) -> None:
    """Put every global random generator back to a state of `random_states`.

    A generator that is not the same here (another machine, other versions) keeps the state that
    it has, and a warning says so: no draw of ours depends on it.
    """
    lost = []
    for name, restore in RESTORE.items():
        try:
            restore(states[name])
        except MISFITS as error:
            lost.append(f"{name} ({first_line(error)})")
    if lost:
        logging.getLogger("vitbench").warning(
            "random states of the snapshot that do not fit this machine are left out: %s. "
            "Orders, crops and drop path do not depend on them.",
            ", ".join(lost),
        )


def _restore_python(state: Any) -> None:
    version, words, following = state
    random.setstate((version, tuple(words), following))


def _restore_numpy(state: Any) -> None:
    kind, words, *rest = state
    np.random.set_state((kind, words.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002


def _restore_cuda(states: list[Tensor]) -> None:
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if len(states) != gpus:
        raise ValueError(f"of {len(states)} GPUs, here are {gpus}")
    torch.cuda.set_rng_state_all([state.cpu() for state in states])


RESTORE: dict[str, Callable[[Any], None]] = {
    "python": _restore_python,
    "numpy": _restore_numpy,
    "torch": lambda state: torch.set_rng_state(state.cpu()),
    "cuda": _restore_cuda,
}
