"""The metric log of a run: `metrics.jsonl`, TensorBoard, and callbacks."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench import distributed
from vitbench.errors import TrainingError
from vitbench.models.run_folder import RUN_JOURNAL
from vitbench.records import atomic
from vitbench.training.resources import writing

if TYPE_CHECKING:
    from torch import Tensor

TENSORBOARD = "tensorboard"
Row = dict[str, Any]


class MetricLog:
    """Collects the values of steps on the device and writes them now and then.

    Reading a value makes the host wait for the device, so it happens once in `every` steps; the
    values of each step are kept until then, and a loss that is not finite is found with its step.

    Args:
        folder: The run's folder.
        every: Steps between two lines.
        first_step: Where the run goes on; what an interrupted run wrote beyond it is dropped.
        callback: Told every line.
    """

    def __init__(
        self, folder: Path, *, every: int, first_step: int, callback: Callable[[Row], None]
    ) -> None:
        self._path, self._every, self._callback = folder / RUN_JOURNAL, every, callback
        self._waiting: list[tuple[int, dict[str, Tensor]]] = []
        self._board: Any = None
        if distributed.is_main():
            from torch.utils.tensorboard import SummaryWriter

            with writing("the metric log", folder):
                _keep_up_to(self._path, first_step)
                self._board = SummaryWriter(str(folder / TENSORBOARD), purge_step=first_step)

    def add(self, step: int, values: "Mapping[str, Tensor]") -> bool:
        """Keep the values of a step, counted from 1; tell whether it is time to write."""
        if values:
            self._waiting.append((step, dict(values)))
        return len(self._waiting) >= self._every

    def write_steps(self, facts: Mapping[str, float]) -> None:
        """Write one line with the means of the steps kept since the last.

        Args:
            facts: What else the line says: learning rate, images per second.

        Raises:
            TrainingError: A loss was not finite; names the first such step and every term.
        """
        if not self._waiting:
            return
        import torch

        names = list(self._waiting[0][1])
        kept = torch.stack([torch.stack(list(values.values())) for _, values in self._waiting])
        rows = (distributed.sum_over_processes(kept) / distributed.world_size()).double().cpu()
        steps = [step for step, _ in self._waiting]
        self._waiting = []
        for step, row in zip(steps, rows.tolist(), strict=True):
            if not all(map(math.isfinite, row)):
                told = ", ".join(
                    f"{name} {value:.6g}" for name, value in zip(names, row, strict=True)
                )
                raise TrainingError(
                    f"the loss of step {step} is not finite.",
                    found=told,
                    hint="--on-nonfinite skip N goes on without such steps; or a run of its own "
                    "with a lower learning rate, --precision fp32 or another --seed",
                )
        means = dict(zip(names, rows.mean(dim=0).tolist(), strict=True))
        self.write({"step": steps[-1], **means, **facts})

    def write(self, row: Row) -> None:
        """Write one line, with its `step`.

        Raises:
            TrainingError: It can't be written.
        """
        if self._board is None:
            return
        with writing("the metric log", self._path.parent):
            with self._path.open("a") as stream:
                stream.write(json.dumps(row) + "\n")
            for name, value in row.items():
                if name != "step" and isinstance(value, int | float):
                    self._board.add_scalar(name, value, row["step"])
        self._callback(row)

    def close(self) -> None:
        """Close the files."""
        if self._board is not None:
            self._board.close()


def read_metrics(folder: Path) -> list[Row]:
    """Return the lines of a run's metric_log; one cut off by a kill, or damaged, is left out."""
    path = folder / RUN_JOURNAL
    rows = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _keep_up_to(path: Path, step: int) -> None:
    """Drop the lines of steps that will be made again."""
    kept = [row for row in read_metrics(path.parent) if row["step"] <= step]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in kept))
