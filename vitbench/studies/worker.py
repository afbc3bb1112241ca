"""Do the work of one task in this process: a training, or the cells of one checkpoint."""

import shlex
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.engine.context import Data, open_data
from vitbench.engine.options import Reporter, RunOptions
from vitbench.errors import (
    INTERRUPTED,
    STOPPED_AFTER_SAVING,
    Stopped,
    TrainingError,
    VitbenchError,
)
from vitbench.studies.cell_state import Kept, Work, folder_of, keep, state_of
from vitbench.studies.freshness import mark_of
from vitbench.studies.lease import claimed
from vitbench.studies.matrix import Cell
from vitbench.studies.training_row import Training

if TYPE_CHECKING:
    from vitbench.engine.run import Evaluation
    from vitbench.models.backbone import Backbone
    from vitbench.models.checkpoint import Checkpoint

FIRST_BATCH = 64  # images of a forward pass, half of which is tried when memory ran out
Trainer = Callable[[list[str]], int]  # what `vitbench train WORD…` does; gives the exit code
Say = Callable[[str], None]


@dataclass
class Worker:
    """Does cells and trainings, one after another; what another process claims is left to it.

    Args:
        study: Name of the study, kept with its cells.
        results: The folder of the records.
        words: The command of the study, to which `--cell NAME` is added to repeat one.
        train: Runs `vitbench train`.
        device: Where to compute.
        reporter: Progress and remarks.
        say: Told what was done, in a line each.
    """

    study: str
    results: Path
    words: Sequence[str]
    train: Trainer
    device: str
    reporter: Reporter
    say: Say
    _loaded: "tuple[str, Checkpoint, Backbone] | None" = None
    _data: dict[Any, Data] = field(default_factory=dict)

    def run(self, works: Sequence[Work]) -> int:
        """Do the works; return 0, or 2 where one of them failed.

        Raises:
            Stopped: By a signal, after saving.
        """
        code = 0
        for work in works:
            with claimed(folder_of(self.results, work)) as mine:
                if not mine:
                    self.say(f"{work.name}: another process works on it")
                elif state_of(self.results, work).kind == "done":  # meanwhile, by another
                    self.say(f"{work.name}: done")
                else:
                    code = max(code, self._one(work))
        return code

    def _one(self, work: Work) -> int:
        command = shlex.join(["vitbench", *self.words, "--cell", work.name])
        kept = Kept(self.study, work.name, _request(work), command=command)
        folder, clock = folder_of(self.results, work), time.perf_counter()
        try:
            record = self._train(work) if isinstance(work, Training) else self._score(work)
        except Stopped:
            raise
        except Exception as error:
            message = str(error) if isinstance(error, VitbenchError) else repr(error)
            keep(folder, replace(kept, error=message))
            self.say(f"{work.name}: {type(error).__name__}: {message}")
            if not isinstance(error, VitbenchError):
                traceback.print_exc()  # a bug costs its cell alone
            return 2
        mark = mark_of(work) if isinstance(work, Cell) else ""
        seconds = time.perf_counter() - clock
        keep(folder, replace(kept, record=record, mark=mark, seconds=seconds))
        return 0

    def _train(self, training: Training) -> str:
        code = self.train(training.words(self.device))
        if code in {STOPPED_AFTER_SAVING, INTERRUPTED}:
            raise SystemExit(code)
        if code or not training.done:
            raise TrainingError(
                f"the training of {training.name} ended with exit code {code}.",
                hint=shlex.join(["vitbench", "train", *training.words()]),
            )
        self.say(f"{training.name}: trained, {training.folder}")
        return ""

    def _score(self, cell: Cell) -> str:
        options = replace(cell.column.run, results=self.results, seed=cell.seed, device=self.device)
        found = self._evaluated(cell, options)
        score = found.record.primary()
        value = "not defined" if score is None or score.value is None else f"{score.value:.2f}"
        label = score.label if score else ""
        self.say(f"{cell.name}: {label} {value}  {found.path}")
        return found.record.id

    def _evaluated(self, cell: Cell, options: RunOptions) -> "Evaluation":
        """Evaluate; where memory runs out, again with half the images in a forward pass."""
        from vitbench.engine.evaluate import evaluate
        from vitbench.training.resources import memory_ran_out

        checkpoint, backbone = self._network(cell.row.spec)
        data = self._opened(cell, options)
        while True:
            try:
                return evaluate(
                    cell.column.protocol, checkpoint, options, self.reporter, data, backbone
                )
            except (RuntimeError, MemoryError) as error:
                images = options.batch_size or FIRST_BATCH
                if not memory_ran_out(error) or images == 1:
                    raise
                options = replace(options, batch_size=images // 2)
                self.say(f"{cell.name}: memory ran out, again with {images // 2} images at once")

    def _network(self, spec: str | None) -> "tuple[Checkpoint | None, Backbone | None]":
        """Return a checkpoint and its network, loaded once for all cells that follow."""
        if spec is None:
            return None, None
        if self._loaded is None or self._loaded[0] != spec:
            from vitbench import distributed
            from vitbench.models.checkpoint import load_backbone, resolve

            checkpoint = resolve(spec)
            device = distributed.find_device(self.device)
            self._loaded = spec, checkpoint, load_backbone(checkpoint, device=device)
        return self._loaded[1:]

    def _opened(self, cell: Cell, options: RunOptions) -> Data:
        """Return the data of a cell, opened once for all cells that read the same."""
        protocol, pixels = cell.column.protocol, cell.row.spec is not None
        same = (options.data, options.limit, options.split_list, protocol.splits, pixels)
        key = (protocol.data, options.skip_corrupt, *same)
        if key not in self._data:
            self._data[key] = open_data(protocol, options, self.reporter, pixels=pixels)
        return self._data[key]


def _request(work: Work) -> dict[str, Any]:
    if isinstance(work, Training):
        return {"training": work.words()}
    return work.request
