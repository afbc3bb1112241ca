"""Snapshots are whole or not there, and only the newest few stay."""

import errno
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitbench.errors import TrainingError
from vitbench.training import snapshot
from vitbench.training.options import CheckpointConfig
from vitbench.training.snapshot import Snapshots, load_snapshot

CPU = torch.device("cpu")


def saved(snapshots: Snapshots, state: dict[str, Any], *, step: int) -> Path:
    """Write a snapshot and wait for it."""
    snapshots.save(state, step=step)
    snapshots.wait()
    return snapshots.folder / f"step-{step:09d}.pt"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_snapshot_comes_back_as_it_was(tmp_path: Path) -> None:
    state = {"weights": {"a": torch.arange(3.0)}, "step": 7, "note": "x"}
    path = saved(Snapshots(tmp_path, CheckpointConfig()), state, step=7)
    found = load_snapshot(path, CPU)
    assert torch.equal(found["weights"]["a"], torch.arange(3.0))
    assert (found["step"], found["note"]) == (7, "x")


def test_the_random_generators_go_on_where_they_were(tmp_path: Path) -> None:
    path = saved(Snapshots(tmp_path, CheckpointConfig()), {}, step=1)

    def draws() -> list[float]:
        return [random.random(), float(np.random.rand()), torch.rand(1).item()]  # noqa: NPY002

    first = draws()
    load_snapshot(path, CPU)
    assert draws() == first


def test_what_happens_to_a_state_after_it_was_saved_does_not_change_the_snapshot(
    tmp_path: Path,
) -> None:
    weights = torch.zeros(3)
    snapshots = Snapshots(tmp_path, CheckpointConfig())
    snapshots.save({"weights": [weights]}, step=1)
    weights.add_(1)  # the next step, beside the writing
    snapshots.wait()
    path = snapshots.latest()
    assert path is not None
    assert torch.equal(load_snapshot(path, CPU)["weights"][0], torch.zeros(3))


def test_only_the_newest_and_the_named_ones_stay(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path, CheckpointConfig(keep_last=2))
    for step in range(1, 6):
        snapshots.save({"step": step}, step=step, names=("best.pt",) if step == 2 else ())
        snapshots.wait()
    assert names(tmp_path) == ["best.pt", "step-000000004.pt", "step-000000005.pt"]
    assert load_snapshot(tmp_path / "best.pt", CPU)["step"] == 2
    latest = snapshots.latest()
    assert latest is not None
    assert latest.name == "step-000000005.pt"


def test_a_full_disk_keeps_the_last_good_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshots = Snapshots(tmp_path, CheckpointConfig(keep_last=1))
    saved(snapshots, {"step": 1}, step=1)

    def full(_state: Any, stream: Any) -> None:
        stream.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match="resume from step-000000001"):
        saved(snapshots, {"step": 2}, step=2)
    monkeypatch.undo()
    assert names(tmp_path) == ["step-000000001.pt"]
    latest = snapshots.latest()
    assert latest is not None
    assert load_snapshot(latest, CPU)["step"] == 1


@pytest.mark.parametrize("content", [b"nothing", b""])
def test_a_file_that_is_no_snapshot_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "step-000000001.pt"
    path.write_bytes(content)
    with pytest.raises(TrainingError, match="is no snapshot"):
        load_snapshot(path, CPU)


@pytest.mark.parametrize(
    ("name", "state", "told"),
    [
        ("cuda", [torch.zeros(16, dtype=torch.uint8)] * 8, "cuda (of 8 GPUs, here are 0)"),
        ("numpy", ["PCG64", torch.zeros(3), 0, 0, 0.0], "numpy ("),
        ("torch", torch.zeros(3, dtype=torch.uint8), "torch ("),
        ("python", (9, (1, 2), None), "python ("),
        ("python", (3, (-1,) * 625, None), "python (can't convert negative value"),
    ],
)
def test_a_snapshot_of_another_machine_goes_on_and_says_which_draws_are_new(
    name: str,
    state: Any,
    told: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    states = {**snapshot.random_states(), name: state}
    monkeypatch.setattr(snapshot, "random_states", lambda: states)
    path = saved(Snapshots(tmp_path, CheckpointConfig()), {"step": 3}, step=3)
    assert load_snapshot(path, CPU)["step"] == 3
    assert told in caplog.text


def test_the_states_of_as_many_gpus_are_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    restored: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", restored.append)
    two = [torch.zeros(16, dtype=torch.uint8)] * 2
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: two)
    snapshot.restore_random_states(snapshot.random_states())
    assert len(restored[0]) == 2


def test_a_lack_of_memory_is_not_taken_for_a_broken_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("tried to allocate 2.00 GiB")

    path = saved(Snapshots(tmp_path, CheckpointConfig()), {}, step=1)
    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(TrainingError, match="the memory of cpu ran out"):
        load_snapshot(path, CPU)
