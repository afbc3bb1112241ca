"""Counting pixels, and the rules for classes that are nowhere."""

from pathlib import Path

import numpy as np
import pytest

from vitbench_protocols.segmentation.classes import NONE, Classes
from vitbench_protocols.segmentation.scores import (
    Tally,
    confusion,
    iou_by_image,
    summarize,
    write_classes,
)

TRUTH = np.array([[0, 0, 1, NONE]], np.int16)


def scored(*pairs: tuple[list[int], list[int]], classes: int = 3) -> dict[str, float | None]:
    tally = Tally(classes)
    for place, (truth, predicted) in enumerate(pairs):
        arrays = (np.array([truth], np.int16), np.array([predicted], np.int16))
        tally.add(place, confusion(*arrays, classes))
    names = [str(place) for place in range(len(pairs))]
    return {score.metric: score.value for score in summarize(tally.items(names))}


def test_the_truth_scores_100() -> None:
    assert scored(([0, 1, 2], [0, 1, 2])) == {"miou": 100, "aacc": 100, "macc": 100}


def test_all_wrong_scores_0() -> None:
    assert scored(([0, 1, 2], [1, 2, 0])) == {"miou": 0, "aacc": 0, "macc": 0}


def test_a_class_that_is_only_predicted_counts_for_iou_and_not_for_accuracy() -> None:
    found = scored(([0, 0, 1, 1], [0, 0, 1, 2]))
    assert found == {"miou": pytest.approx(50), "aacc": 75, "macc": 75}


def test_a_class_that_is_nowhere_counts_for_nothing() -> None:
    assert scored(([0, 1], [0, 1]), classes=150)["miou"] == 100


def test_what_is_not_labeled_counts_for_nothing() -> None:
    assert scored(([0, NONE, NONE], [0, 1, 2])) == {"miou": 100, "aacc": 100, "macc": 100}


def test_a_pixel_without_a_prediction_is_wrong() -> None:
    found = scored(([0, 0, 1, 1], [0, NONE, 1, 1]))
    assert found == {"miou": 75, "aacc": 75, "macc": 75}


def test_images_without_labels_alone_have_no_score() -> None:
    assert scored(([NONE], [0])) == {"miou": None, "aacc": None, "macc": None}


def test_an_image_without_labels_changes_nothing() -> None:
    assert scored(([0, 1], [0, 0])) == scored(([0, 1], [0, 0]), ([NONE, NONE], [2, 2]))


def test_the_order_of_the_images_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    pairs = [tuple(generator.integers(0, 3, (2, 9)).tolist()) for _ in range(5)]
    assert scored(*pairs) == scored(*pairs[::-1])


def test_each_image_has_an_iou_of_its_own() -> None:
    tally = Tally(3)
    tally.add(0, confusion(TRUTH, np.array([[0, 1, 1, 1]], np.int16), 3))
    tally.add(1, confusion(np.full((1, 4), NONE, np.int16), TRUTH, 3))
    found = iou_by_image(tally.items(["a", "b"]))
    assert found[0] == pytest.approx(50)  # one pixel of two for both classes
    assert np.isnan(found[1])


def test_the_table_of_classes_leaves_empty_what_is_not_defined(tmp_path: Path) -> None:
    classes = Classes((1, 2, 5), ("wall", "sky", "door"))
    counted = confusion(
        np.array([[0, 0, 0, 0, 1]], np.int16), np.array([[0, 1, 1, 2, 1]], np.int16), 3
    )
    write_classes(counted, classes, tmp_path / "classes.csv")
    wall, sky, door = (tmp_path / "classes.csv").read_text().splitlines()[1:]
    assert wall == "1,wall,25.00,25.00,4,1"
    assert sky == "2,sky,33.33,100.00,1,3"
    assert door == "5,door,0.00,,0,1"
