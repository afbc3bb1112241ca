"""Anybody's label files: what is right scores, what is wrong is named."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.protocols.segmentation.conftest import write_maps
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
    training = maps / "annotations" / "training"
    assert scored(training, maps, tmp_path / "results", split="train") == PERFECT


def test_classes_counted_from_zero_are_understood(
    maps: Path, predictions: Path, tmp_path: Path
) -> None:
    table = np.array([255, 0, 1, 255, 255, 2], np.uint8)
    for path in predictions.iterdir():
        Image.fromarray(table[np.asarray(Image.open(path))]).save(path)
    found = scored(predictions, maps, tmp_path / "results", numbering="from-zero")
    assert found == PERFECT


def notes(predictions: Path, data: Path, results: Path, **settings: Any) -> str:
    options = RunOptions(data=str(data), results=results)
    return " ".join(score(SegmentationMaps(**settings), predictions, options).record.notes)


def test_a_numbering_that_fits_far_better_is_noted_both_ways(
    predictions: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    write_maps(data)
    (data / "classes.yaml").unlink()
    (data / "classes.txt").write_text("brick\ngrass\nsoil\nsea\nsky\nmoon\n")
    assert notes(predictions, data, tmp_path / "results") == ""
    found = notes(predictions, data, tmp_path / "results", numbering="from-zero")
    assert "but 100.0% with --numbering labels" in found
    for path in predictions.iterdir():
        labels = np.asarray(Image.open(path))
        Image.fromarray(np.where(labels > 0, labels - 1, 255).astype(np.uint8)).save(path)
    found = notes(predictions, data, tmp_path / "results")
    assert "but 100.0% with --numbering from-zero" in found


def test_the_hint_of_a_refusal_was_tried(predictions: Path, tmp_path: Path) -> None:
    data = write_maps(tmp_path / "data")
    (data / "classes.yaml").write_text("classes: {1: brick, 2: grass, 3: soil, 4: sea, 5: sky}\n")
    with pytest.raises(errors.DatasetError, match=r"labels that are no class(.|\n)*0 to 4") as seen:
        scored(predictions, data, tmp_path / "results", numbering="from-zero")
    assert seen.value.hint == "--numbering labels"
    assert scored(predictions, data, tmp_path / "results", numbering="labels") == PERFECT
    Image.new("L", (80, 64), 9).save(predictions / "1.png")
    with pytest.raises(errors.DatasetError, match=r"labels that are no class(.|\n)*1 to 5") as seen:
        scored(predictions, data, tmp_path / "results")
    assert "--numbering" not in seen.value.hint


@pytest.mark.parametrize("second", ["1.jpg", "epoch_2/1.png"])
def test_two_predictions_of_one_image_are_refused(
    maps: Path, predictions: Path, tmp_path: Path, second: str
) -> None:
    (predictions / second).parent.mkdir(exist_ok=True)
    Image.new("L", (80, 64)).save(predictions / second)
    with pytest.raises(errors.DatasetError, match="two files") as seen:
        scored(predictions, maps, tmp_path / "results")
    assert str(predictions / second) in seen.value.found


def test_a_file_or_an_archive_is_no_folder_of_predictions(maps: Path, tmp_path: Path) -> None:
    (tmp_path / "predictions.zip").write_bytes(b"PK")
    with pytest.raises(errors.DatasetError, match="is no folder of predictions"):
        scored(tmp_path / "predictions.zip", maps, tmp_path / "results")


@pytest.mark.parametrize("name", ["._1.png", ".ipynb_checkpoints/1.png"])
def test_names_with_a_leading_dot_are_no_predictions(
    maps: Path, predictions: Path, tmp_path: Path, name: str
) -> None:
    (predictions / name).parent.mkdir(exist_ok=True)
    (predictions / name).write_bytes(b"Mac OS X")
    assert scored(predictions, maps, tmp_path / "results") == PERFECT


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
