"""Every way in which data sets number their labels: the truth scores 100, the rest mmseg's mIoU."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vitbench.api import RunOptions, errors, score
from vitbench_protocols.segmentation.score import SegmentationMaps

SHAPE = (24, 32)


@dataclass(frozen=True)
class Kind:
    """How one data set numbers its labels."""

    class_file: tuple[str, str]
    labels: Sequence[int]  # of the classes
    void: Sequence[int]  # that its files hold
    settings: dict[str, Any] = field(default_factory=dict)
    mode: str = "L"


def lines(names: Sequence[str]) -> str:
    return "".join(f"{name}\n" for name in names)


ADE = "Idx,Name\n" + lines([f"{n},thing {n}" for n in range(1, 151)])
VOC = "classes:\n" + lines([f"  {n}: thing {n}" for n in range(21)])
CITY = [f"thing {n}" for n in range(19)]
STUFF = [1, 2, 5, 90, 182]
KINDS = {
    "ade20k": Kind(("objectInfo150.csv", ADE), range(1, 151), [0]),
    "voc": Kind(("classes.yaml", VOC), range(21), [255], mode="P"),
    "voc-with-void-named": Kind(
        ("classes.yaml", VOC + "  255: void\n"), range(21), [255], mode="P"
    ),
    "cityscapes-train-ids": Kind(
        ("classes.txt", lines(CITY)), range(19), [255], {"first_label": 0, "void": (255,)}
    ),
    "cityscapes-ids": Kind(
        ("classes.txt", lines([f"{n}: thing {n}" for n in range(7, 34)])),
        range(7, 34),
        range(7),
        {"void": tuple(range(7))},
    ),
    "ade20k-counted-from-0": Kind(
        ("objectInfo150.csv", ADE), range(150), [255], {"first_label": 0, "void": (255,)}
    ),
    "coco-stuff": Kind(
        ("classes.txt", "0: unlabeled\n" + lines([f"{n}: thing {n}" for n in STUFF])),
        STUFF,
        [0, 255],
    ),
    "two-void-labels": Kind(
        ("classes.txt", lines(["a", "b"])), [1, 2], [0, 255], {"void": (0, 255)}
    ),
    "background-left-out": Kind(
        ("classes.yaml", VOC), range(1, 21), [0, 255], {"void": (0, 255)}
    ),
    "sixteen-bit": Kind(
        ("classes.txt", lines([f"{n}: thing {n}" for n in range(1000, 1300)])),
        range(1000, 1300),
        [65535],
        {"void": (65535,)},
        mode="I;16",
    ),
    "one-bit": Kind(("classes.txt", "0: ground\n1: figure\n"), [0, 1], [], mode="1"),
}  # fmt: skip


def write(labels: NDArray[np.int64], path: Path, mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if mode == "1":
        Image.fromarray(labels.astype(bool)).save(path)
        return
    image = Image.fromarray(labels.astype(np.uint16 if mode == "I;16" else np.uint8))
    if mode == "P":
        image.putpalette(bytes(range(256)) * 3)
    image.save(path)


def write_kind(root: Path, kind: Kind, images: int = 3) -> list[NDArray[np.int64]]:
    """Write a data set with random labels; return them."""
    generator = np.random.default_rng(0)
    every = [*kind.labels, *kind.void]
    maps = [generator.choice(every, SHAPE).astype(np.int64) for _ in range(images)]
    maps[0].flat[: len(every)] = every  # none is missing
    for number, labels in enumerate(maps):
        write(labels, root / f"annotations/validation/{number}.png", kind.mode)
        folder = root / "images/validation"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SHAPE[::-1]).save(folder / f"{number}.jpg")
    (root / kind.class_file[0]).write_text(kind.class_file[1])
    return maps


def run(root: Path, predictions: Path, **settings: Any) -> dict[str, float]:
    options = RunOptions(data=str(root), results=root / "results")
    record = score(SegmentationMaps(**settings), predictions, options).record
    return {one.metric: one.value for one in record.scores if one.value is not None}


def by_the_published_rule(
    pairs: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]], labels: Sequence[int]
) -> dict[str, float]:
    """Return mIoU, aAcc and mAcc, percent, as mmsegmentation defines them.

    Pixels whose true label is no class are left out; areas are summed over all images; a class
    that is neither true nor predicted is left out of the means.
    """
    both, found, true = np.zeros((3, len(labels)))
    for truth, predicted in pairs:
        counts = np.isin(truth, labels)
        for index, label in enumerate(labels):
            mine, theirs = predicted[counts] == label, truth[counts] == label
            both[index] += np.sum(mine & theirs)
            found[index] += np.sum(mine)
            true[index] += np.sum(theirs)
    with np.errstate(invalid="ignore"):
        means = {"miou": both / (found + true - both), "macc": both / true}
    means["aacc"] = np.array([both.sum() / true.sum()])
    return {name: 100 * float(np.nanmean(values)) for name, values in means.items()}


@pytest.mark.parametrize("name", KINDS)
def test_the_truth_of_every_kind_scores_100(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    write_kind(tmp_path, kind)
    found = run(tmp_path, tmp_path / "annotations/validation", **kind.settings)
    assert found == {"miou": 100, "aacc": 100, "macc": 100}


@pytest.mark.parametrize("name", KINDS)
def test_other_predictions_of_every_kind_score_as_published(tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    truths, generator = write_kind(tmp_path, kind), np.random.default_rng(1)
    pairs = []
    for number, truth in enumerate(truths):
        guessed = generator.choice([*kind.labels, *kind.void], SHAPE)
        predicted = np.where(generator.random(SHAPE) < 0.6, truth, guessed)
        write(predicted, tmp_path / f"predicted/{number}.png", kind.mode)
        pairs.append((truth, predicted))
    expected = by_the_published_rule(pairs, kind.labels)
    assert run(tmp_path, tmp_path / "predicted", **kind.settings) == pytest.approx(expected)


def test_0_and_255_together_are_refused_until_someone_says_what_0_is(tmp_path: Path) -> None:
    kind = KINDS["cityscapes-train-ids"]
    write_kind(tmp_path, kind)
    predictions = tmp_path / "annotations/validation"
    with pytest.raises(errors.DatasetError, match="is 0 a class") as caught:
        run(tmp_path, predictions)
    for flags in ("--first-label 0 --void 255", "--void 0 255"):
        assert flags in caught.value.hint
    assert run(tmp_path, predictions, first_label=0, void=(255,))["miou"] == 100
    assert run(tmp_path, predictions, void=(0, 255))["miou"] == 100


def test_labels_that_are_no_class_come_with_a_hint_that_works(tmp_path: Path) -> None:
    kind = Kind(("classes.txt", "1: a\n2: b\n"), [1, 2], [7])
    write_kind(tmp_path, kind)
    predictions = tmp_path / "annotations/validation"
    with pytest.raises(errors.DatasetError, match=r"no class(.|\n)*found +7") as caught:
        run(tmp_path, predictions)
    assert "--void 0 255 7" in caught.value.hint
    assert run(tmp_path, predictions, void=(0, 255, 7))["miou"] == 100


def test_a_setting_that_leaves_no_class_is_refused(tmp_path: Path) -> None:
    write_kind(tmp_path, KINDS["one-bit"])
    with pytest.raises(errors.SettingError, match="leaves no class"):
        run(tmp_path, tmp_path / "annotations/validation", void=(0, 1))
