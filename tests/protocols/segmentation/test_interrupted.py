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

from vitbench.api import (
    Record,
    Reporter,
    RunOptions,
    errors,
    evaluate,
    read_items,
    resolve,
)
from vitbench.kit import read_metrics
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.settings import (
    DenseKnn,
    FineTune,
    Inference,
    Learning,
    LinearProbe,
)

LEARNING = Learning(
    steps=6,
    batch_size=4,
    crop=32,
    short=48,
    scales=(0.75, 1.25),
    learning_rate=2e-3,
    warmup_steps=2,
    check_every=3,
)
METHODS: dict[str, Any] = {
    "knn": DenseKnn(k=3),
    "linear": LinearProbe(learning=replace(LEARNING, steps=22)),
    "fine-tuning": FineTune(decoder="semantic-fpn-deconv", drop_path=0.3, learning=LEARNING),
}


def run(name: str, data: Path, results: Path, reporter: Reporter = Reporter()) -> Record:  # noqa: B008
    protocol = Segmentation(method=METHODS[name], inference=Inference(short=48, long=256))
    options = RunOptions(data=str(data), results=results, workers=2)
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options, reporter).record


def counts(record: Record, results: Path) -> np.ndarray:
    found: np.ndarray = read_items(record, results)["confusion"]
    return found


def losses(record: Record, results: Path) -> list[float]:
    lines = read_metrics((results / "segmentation" / record.artifacts["journal"]).parent)
    return [line["loss"] for line in lines if "loss" in line]


def test_a_stopped_run_goes_on_and_finds_what_an_unbroken_one_finds(
    maps: Path, tmp_path: Path
) -> None:
    def stop(task: str, done: int, total: int, unit: str = "") -> None:
        if (task, done) == ("fine-tuning", 4):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(errors.Stopped, match="step 4 of 6"):
        run("fine-tuning", maps, tmp_path / "a", Reporter(progress=stop))
    assert not list((tmp_path / "a").glob("*/*.json"))  # it is no failure
    steps: list[int] = []

    def note(task: str, done: int, total: int, unit: str = "") -> None:
        if task == "fine-tuning":
            steps.append(done)

    broken = run("fine-tuning", maps, tmp_path / "a", Reporter(progress=note))
    assert steps == [5, 6]
    whole = run("fine-tuning", maps, tmp_path / "b", Reporter())
    assert broken.id == whole.id
    np.testing.assert_array_equal(counts(broken, tmp_path / "a"), counts(whole, tmp_path / "b"))


def one_of_two(rank: int, data: str, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    for name in METHODS:
        run(name, Path(data), Path(folder) / name)
    dist.destroy_process_group()


def test_two_processes_find_what_one_finds(maps: Path, tmp_path: Path) -> None:
    processes: Any = torch.multiprocessing
    (tmp_path / "two").mkdir()
    processes.spawn(one_of_two, (str(maps), str(tmp_path / "two")), nprocs=2)
    for name in METHODS:
        alone = run(name, maps, tmp_path / "one" / name)
        shared = run(name, maps, tmp_path / "two" / name)  # the record that is there
        assert shared.environment.processes == 2
        first = counts(alone, tmp_path / "one" / name)
        second = counts(shared, tmp_path / "two" / name)
        if name == "linear":
            assert losses(alone, tmp_path / "one" / name) == losses(shared, tmp_path / "two" / name)
        moved = np.abs(first - second).sum() / first.sum()
        assert moved <= (0.01 if name == "fine-tuning" else 0), name
