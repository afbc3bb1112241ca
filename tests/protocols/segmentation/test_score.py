"""Anybody's label files: what is right scores, what is wrong is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.api import RunOptions, errors, score
from vitbench_protocols.segmentation.score import SegmentationMaps


def scored(predictions: Path, data: Path, results: Path, **settings: object) -> dict[str, object]:
    scorer = SegmentationMaps(**settings)  # type: ignore[arg-type]
    record = score(scorer, predictions, RunOptions(data=str(data), results=results)).record
    return {one.metric: one.value for one in record.scores}


@pytest.fixture
def predictions(maps: Path, tmp_path: Path) -> Path:
    """Return a folder with the truth as prediction."""
    folder = tmp_path / "predictions"
    shutil.copytree(maps / "annotations" / "validation", folder)
    return folder


PERFECT = {"miou": 100.0, "aacc": 100.0, "macc": 100.0}


def test_the_truth_scores_100(maps: Path, predictions: Path, tmp_path: Path) -> None:
    assert scored(predictions, maps, tmp_path / "results") == PERFECT
    assert (
        scored(maps / "annotations", maps, tmp_path / "results", split="train")["miou"] is not None
    )


def test_classes_counted_from_zero_are_understood(
    maps: Path, predictions: Path, tmp_path: Path
) -> None:
    table = np.array([255, 0, 1, 255, 255, 2], np.uint8)
    for path in predictions.iterdir():
        Image.fromarray(table[np.asarray(Image.open(path))]).save(path)
    found = scored(predictions, maps, tmp_path / "results", numbering="from-zero")
    assert found == PERFECT


def test_nothing_predicted_scores_0(maps: Path, predictions: Path, tmp_path: Path) -> None:
    for path in predictions.iterdir():
        Image.fromarray(np.zeros((64, 80), np.uint8)).save(path)
    assert scored(predictions, maps, tmp_path / "results") == {"miou": 0, "aacc": 0, "macc": 0}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (Image.new("RGB", (80, 64)), "holds colors"),
        (Image.new("L", (80, 64), 7), "labels that are no class"),
        (Image.new("L", (64, 80), 1), "another size than its image"),
        (None, "1 of 3 images have no prediction"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    maps: Path, predictions: Path, tmp_path: Path, labels: Image.Image | None, message: str
) -> None:
    if labels is None:
        (predictions / "1.png").unlink()
    else:
        labels.save(predictions / "1.png")
    with pytest.raises(errors.DatasetError, match=message):
        scored(predictions, maps, tmp_path / "results")


@pytest.mark.data
def test_the_truth_of_real_ade20k_scores_100(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "ade20k"
    assert scored(data / "annotations" / "validation", data, tmp_path) == PERFECT
