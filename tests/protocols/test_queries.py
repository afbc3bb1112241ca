"""Queries from a second data set: knn, logistic and linear-probe, and the gap to val."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitbench import bootstrap
from vitbench.api import (
    Evaluation,
    EvaluationProtocol,
    RunOptions,
    evaluate,
    from_preset,
    resolve,
)
from vitbench.engine import gap
from vitbench_protocols.knn import Knn
from vitbench_protocols.linear_probe import LinearProbe
from vitbench_protocols.logistic import Logistic

CROP = {"resize": 32, "crop": 32}
MAKE: dict[str, Callable[..., EvaluationProtocol]] = {
    "knn": lambda **more: from_preset(Knn, None, **CROP, **more),
    "logistic": lambda **more: from_preset(Logistic, None, c_values=(1.0,), **CROP, **more),
    "linear-probe": lambda **more: from_preset(
        LinearProbe, "sweep", epochs=6, batch_size=10, learning_rates=(0.1, 1.0), held_out=0.4,
        **CROP, **more
    ),
}  # fmt: skip
every = pytest.mark.parametrize("name", MAKE)


def run(name: str, folders: Path, results: Path, **settings: Any) -> Evaluation:
    options = RunOptions(data=str(folders), results=results)
    protocol = MAKE[name](**settings)
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options)


def values(found: Evaluation) -> dict[str, float | None]:
    return {score.metric: score.value for score in found.record.scores}


def shift_colors(source: Path, target: Path, *, times: int) -> None:
    """Copy images with their color channels turned round: red, green, blue -> blue, red, green."""
    for path in source.rglob("*.png"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.roll(np.asarray(Image.open(path)), times, axis=2)
        Image.fromarray(pixels).save(copy)


@every
def test_the_same_images_have_no_gap(name: str, folders: Path, tmp_path: Path) -> None:
    found = run(name, folders, tmp_path, queries=str(folders))
    plain = run(name, folders, tmp_path)
    scores = values(found)
    assert scores.pop("clean_top1") == 100.0
    assert scores.pop("gap") == 0.0
    assert scores == values(plain)
    assert "the gap to val is paired by image" in found.record.notes
    assert found.record.protocol.spec_id == plain.record.protocol.spec_id
    assert found.record.dataset is not None
    assert plain.record.dataset is not None
    assert found.record.dataset.fingerprint != plain.record.dataset.fingerprint


@every
def test_images_of_other_colors_are_all_taken_for_others(
    name: str, folders: Path, tmp_path: Path
) -> None:
    shift_colors(folders / "val", tmp_path / "turned", times=1)
    scores = values(run(name, folders, tmp_path, queries=str(tmp_path / "turned")))
    primary = "top1_k20" if name == "knn" else "top1"
    assert (scores[primary], scores["clean_top1"], scores["gap"]) == (0.0, 100.0, 100.0)


@every
def test_images_under_every_class_are_right_by_chance(
    name: str, folders: Path, undecided: Path, tmp_path: Path
) -> None:
    scores = values(run(name, folders, tmp_path, queries=str(undecided / "val")))
    primary = "top1_k20" if name == "knn" else "top1"
    assert scores[primary] == pytest.approx(100 / 3)
    assert scores["clean_top1"] == 100.0


@every
def test_classes_that_the_queries_lack_do_not_compete(
    name: str, folders: Path, tmp_path: Path
) -> None:
    """Turned round, green looks red; where red and blue are no answers, it is still green."""
    shift_colors(folders / "val", tmp_path / "turned", times=-1)
    for other in ("blue", "red"):
        shutil.rmtree(tmp_path / "turned" / other)
    found = run(name, folders, tmp_path, queries=str(tmp_path / "turned"))
    primary = found.record.primary()
    assert primary is not None
    assert (primary.value, primary.items) == (100.0, 4)
    table = (found.path.parent / found.record.artifacts["classes"]).read_text().splitlines()
    assert [line.split(",")[:2] for line in table[1:]] == [
        ["blue", "0"],
        ["green", "4"],
        ["red", "0"],
    ]
    (clean,) = (score for score in found.record.scores if score.metric == "clean_top1")
    assert (clean.items, clean.value) == (4, 100.0)


def test_a_gap_of_other_images_is_paired_by_class(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in sorted((folders / "train").rglob("[0-2].png")):
        copy = tmp_path / "moved" / path.parent.name / f"new{path.name}"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    monkeypatch.setattr(bootstrap, "RESAMPLES", 50)
    found = run("knn", folders, tmp_path, queries=str(tmp_path / "moved"))
    assert "the gap to val is paired by class, 3 of them" in found.record.notes
    assert values(found)["gap"] == 0.0


def test_the_interval_of_a_gap_holds_its_classes() -> None:
    """Two classes that lose all or nothing: a resample of classes loses 0, 50 or 100 %."""
    clean = np.full(8, 100.0)
    moved = np.array([0.0, 0.0, 100.0, 100.0])
    targets = (np.repeat([3, 7], 4), np.repeat([3, 7], 2))
    ends = gap._class_interval((clean, moved), targets, seed=0)
    assert ends == (0.0, 100.0)
    assert gap._class_interval((clean, clean[:4]), targets, seed=0) == (0.0, 0.0)
