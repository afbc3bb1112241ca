"""The loop alone, under a task that counts."""

import os
import signal
import threading
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vitbench.errors import Stopped, TrainingError
from vitbench.training.loop import Loop, Milestone, Task
from vitbench.training.metric_log import read_metrics
from vitbench.training.options import CheckpointConfig


class Counting(Task[int]):
    """Adds up the numbers of its steps; an epoch is three of them."""

    device = torch.device("cpu")
    steps = 9
    batch_size = 2

    def __init__(self, stop_in: int = 0) -> None:
        self.step, self.total, self._stop_in = 0, torch.zeros(()), stop_in
        self.closed = False

    def batches(self) -> Generator[int]:
        try:
            yield from range(self.step, self.steps)
        finally:
            self.closed = True

    def train_step(self, batch: int) -> Mapping[str, Tensor]:
        self.step += 1
        self.total += batch
        if self.step == self._stop_in:
            os.kill(os.getpid(), signal.SIGUSR1)
        return {"loss": self.total.clone()}

    @property
    def at_milestone(self) -> bool:
        return self.step % 3 == 0

    def milestone(self) -> Milestone:
        return Milestone(row={"score": self.step}, keep=(f"epoch-{self.step // 3}.pt",), save=True)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step, "total": self.total}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step, self.total = state["step"], state["total"]

    def memory_advice(self) -> tuple[str, str]:
        return "room for numbers", "smaller ones"


def loop_of(task: Counting, folder: Path) -> Loop[int]:
    saving = CheckpointConfig(save_minutes=60)
    return Loop(task, output=folder, scratch=folder, saving=saving, log_every=100)


def test_a_signal_is_looked_at_after_every_step(tmp_path: Path) -> None:
    task = Counting(stop_in=5)
    with pytest.raises(Stopped, match="step 5 of 9") as stopped:
        loop_of(task, tmp_path).run()
    assert stopped.value.exit_code == 75
    assert task.closed
    again = Counting()
    loop_of(again, tmp_path).run()
    assert (again.step, again.total.item()) == (9, sum(range(9)))


def test_milestones_write_a_line_and_keep_their_snapshots(tmp_path: Path) -> None:
    loop_of(Counting(), tmp_path).run()
    assert [row["step"] for row in read_metrics(tmp_path) if "score" in row] == [3, 6, 9]
    kept = sorted(path.name for path in (tmp_path / "snapshots").glob("epoch-*"))
    assert kept == ["epoch-1.pt", "epoch-2.pt", "epoch-3.pt"]


def test_a_part_of_the_steps_is_made_and_saved(tmp_path: Path) -> None:
    loop_of(Counting(), tmp_path).run(until=4)
    task = Counting()
    loop_of(task, tmp_path)
    assert task.step == 4


def test_a_snapshot_that_can_not_be_written_beside_the_steps_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match="the snapshot of step 3 could not be written"):
        loop_of(Counting(), tmp_path).run()


def test_a_thread_that_may_watch_no_signals_trains_all_the_same(tmp_path: Path) -> None:
    task = Counting()
    thread = threading.Thread(target=loop_of(task, tmp_path).run)
    thread.start()
    thread.join(60)
    assert task.step == 9
