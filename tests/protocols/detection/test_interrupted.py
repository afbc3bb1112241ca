"""A run that is stopped goes on, and two processes find what one finds."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from tests.protocols.detection.test_detection import BACKBONE, SHORT
from vitbench.api import (
    Record,
    Reporter,
    RunOptions,
    errors,
    evaluate,
    read_items,
    resolve,
)

LEARNING = replace(SHORT.learning, epochs=2, batch_size=2, check_epochs=0, warmup_steps=1)
PROTOCOL = replace(SHORT, drop_path=(0.1, 0.3), learning=LEARNING)


def run(data: Path, results: Path, reporter: Reporter = Reporter()) -> Record:  # noqa: B008
    options = RunOptions(data=str(data), results=results, workers=2)
    return evaluate(PROTOCOL, resolve(BACKBONE), options, reporter).record


def found_in(record: Record, results: Path) -> dict[str, Any]:
    items = read_items(record, results)
    names = ("image", "category", "score", "matched")
    return {f"{kind}_{name}": items[f"{kind}_{name}"] for kind in ("box", "mask") for name in names}


def test_a_stopped_run_goes_on_and_finds_what_an_unbroken_one_finds(
    scenes: Path, tmp_path: Path
) -> None:
    def stop(task: str, done: int, total: int, unit: str = "") -> None:
        if (task, done) == ("fine-tuning", 4):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(errors.Stopped, match="step 4 of 6"):
        run(scenes, tmp_path / "a", Reporter(progress=stop))
    steps: list[int] = []

    def note(task: str, done: int, total: int, unit: str = "") -> None:
        if task == "fine-tuning":
            steps.append(done)

    broken = run(scenes, tmp_path / "a", Reporter(progress=note))
    assert steps == [5, 6]
    whole = run(scenes, tmp_path / "b")
    assert broken.id == whole.id
    first, second = found_in(broken, tmp_path / "a"), found_in(whole, tmp_path / "b")
    assert len(first["box_score"])
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


def one_of_two(rank: int, data: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    run(Path(data), Path(folder) / "results")
    dist.destroy_process_group()


def test_two_processes_find_what_one_finds(scenes: Path, tmp_path: Path) -> None:
    processes: Any = torch.multiprocessing
    (tmp_path / "two").mkdir()
    processes.spawn(one_of_two, (str(scenes), str(tmp_path / "two")), nprocs=2)
    alone = run(scenes, tmp_path / "one")
    shared = run(scenes, tmp_path / "two" / "results")  # the record that is there
    assert shared.environment.processes == 2
    first = found_in(alone, tmp_path / "one")
    second = found_in(shared, tmp_path / "two" / "results")
    for kind in ("box", "mask"):
        scores = [np.sort(found[f"{kind}_score"])[::-1][:50] for found in (first, second)]
        np.testing.assert_allclose(scores[0], scores[1], atol=2e-3)
