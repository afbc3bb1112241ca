import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitbench.api import (
    Evaluation,
    Reporter,
    RunOptions,
    evaluate,
    from_preset,
    read_items,
    resolve,
)
from vitbench.errors import SettingError
from vitbench.kit import CheckpointConfig, distributed
from vitbench_protocols.knn import Knn
from vitbench_protocols.linear_probe import LinearProbe, training

SMALL: dict[str, Any] = {"resize": 32, "crop": 32, "batch_size": 10, "epochs": 6}
DINO = {**SMALL, "learning_rates": (0.5,)}
SWEEP = {**SMALL, "held_out": 0.4, "learning_rates": (1e-4, 0.1, 1.0)}
SILENT = Reporter()


def run(
    preset: str, folders: Path, results: Path, reporter: Reporter = SILENT, **settings: Any
) -> Evaluation:
    probe = from_preset(LinearProbe, preset, **settings)
    options = RunOptions(data=str(folders), results=results)
    return evaluate(probe, resolve("random:vit_mini_patch8_64"), options, reporter)


def values(found: Evaluation) -> dict[str, float | None]:
    return {score.metric: score.value for score in found.record.scores}


def test_fresh_crops_tell_classes_of_one_color_apart(folders: Path, tmp_path: Path) -> None:
    found = run("dino", folders, tmp_path, **DINO)
    assert values(found)["top1"] == 100.0
    assert "learning rate 0.5 on the class token of the last 4 blocks" in found.record.notes


def test_the_defaults_are_the_published_protocol() -> None:
    probe = LinearProbe()
    assert (probe.epochs, probe.batch_size, probe.momentum) == (100, 1024, 0.9)
    assert probe.learning_rates == (0.001,)  # 0.004 for the batch of 1024
    assert probe == from_preset(LinearProbe, "dino")


def test_a_sweep_says_what_held_out_images_chose(folders: Path, tmp_path: Path) -> None:
    found = run("sweep", folders, tmp_path, **SWEEP)
    assert values(found)["top1"] == 100.0
    assert any("chosen among 9 heads on 10 held-out train images" in n for n in found.record.notes)
    items = read_items(found.record, tmp_path)
    for metric, value in values(found).items():
        assert np.mean(items[metric]) == value


def test_a_sweep_reads_the_features_that_knn_stored(folders: Path, tmp_path: Path) -> None:
    knn = Knn(resize=40, crop=40)
    options = RunOptions(data=str(folders), results=tmp_path, store="all")
    evaluate(knn, resolve("random:vit_mini_patch8_64?seed=7"), options)
    probe = from_preset(LinearProbe, "sweep", resize=40, crop=40, epochs=1)
    found = evaluate(probe, resolve("random:vit_mini_patch8_64?seed=7"), options)
    assert found.record.cost.feature_cache == "hit"


def test_the_choice_never_looks_at_val(folders: Path, tmp_path: Path) -> None:
    """With the val labels turned round the same head is chosen."""
    other = tmp_path / "turned"
    (other / "val").mkdir(parents=True)
    (other / "train").symlink_to(folders / "train")
    for name, turned in (("red", "blue"), ("blue", "green"), ("green", "red")):
        (other / "val" / turned).symlink_to(folders / "val" / name)
    first = run("sweep", folders, tmp_path, **SWEEP).record
    second = run("sweep", other, tmp_path, **SWEEP).record
    assert first.notes[-3:-1] == second.notes[-3:-1]
    primary = second.primary()
    assert primary is not None
    assert primary.value == 0.0


def test_no_head_at_all_is_an_error(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="--learning-rates must name one"):
        run("dino", folders, tmp_path, **{**SMALL, "learning_rates": ()})


@pytest.mark.parametrize("preset", ["dino", "sweep"])
def test_val_may_lack_classes_of_train(preset: str, folders: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(folders, root)
    for name in ("blue", "red"):
        shutil.rmtree(root / "val" / name)
    found = run(preset, root, tmp_path, **(DINO if preset == "dino" else SWEEP))
    assert values(found)["top1"] == 100.0
    assert found.record.dataset is not None
    assert (found.record.dataset.items, found.record.dataset.classes) == (4, 3)


@pytest.mark.parametrize("preset", ["dino", "sweep"])
def test_a_crop_that_is_cut_to_whole_patches_is_said(
    preset: str, folders: Path, tmp_path: Path
) -> None:
    settings = {**(DINO if preset == "dino" else SWEEP), "crop": 36, "resize": 40, "epochs": 1}
    notes = run(preset, folders, tmp_path, **settings).record.notes
    assert "the crop of 36 px is cut to 32 px, a multiple of the patch of 8 px" in notes


class Killed(BaseException):
    pass


@pytest.mark.parametrize("preset", ["dino", "sweep"])
def test_a_killed_run_goes_on_and_ends_alike(
    preset: str, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = SWEEP if preset == "sweep" else DINO
    whole = run(preset, folders, tmp_path / "whole", **settings)
    monkeypatch.setattr(training, "SAVING", CheckpointConfig(save_minutes=-1.0))
    told: list[int] = []

    def kill(task: str, done: int, total: int, unit: str = "") -> None:
        if task == "linear probe, finish":
            told.append(done)
            if len(told) == 4:
                raise Killed

    reporter = Reporter(progress=kill)
    with pytest.raises(Killed):
        run(preset, folders, tmp_path / "killed", reporter, **settings)
    resumed = run(preset, folders, tmp_path / "killed", reporter, **settings)
    assert told == [1, 2, 3, 4, 4, 5, 6]  # the fourth was told before it was saved
    assert values(resumed) == values(whole)


def one_of_two(rank: int, folders: str, results: str, cache: str) -> None:
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "29731",
        "VITBENCH_CACHE": cache,
    }
    torch.set_num_threads(1)
    with distributed.process_group():
        for preset, settings in (("dino", DINO), ("sweep", SWEEP)):
            run(preset, Path(folders), Path(results), **settings)


def test_two_processes_score_as_one(folders: Path, tmp_path: Path) -> None:
    context = torch.multiprocessing.get_context("spawn")
    arguments = (str(folders), str(tmp_path / "two"), str(tmp_path / "cache"))
    both = [context.Process(target=one_of_two, args=(rank, *arguments)) for rank in range(2)]
    for process in both:
        process.start()
    alone = {
        preset: run(preset, folders, tmp_path / "one", **settings)
        for preset, settings in (("dino", DINO), ("sweep", SWEEP))
    }
    for process in both:
        process.join(300)
        assert process.exitcode == 0
    for preset, settings in (("dino", DINO), ("sweep", SWEEP)):
        shared = run(preset, folders, tmp_path / "two", **settings)
        assert not shared.ran  # the record of the two processes
        assert shared.record.environment.processes == 2
        assert values(shared) == values(alone[preset])
        found = read_items(shared.record, tmp_path / "two")
        for name, expected in read_items(alone[preset].record, tmp_path / "one").items():
            np.testing.assert_array_equal(found[name], expected)
