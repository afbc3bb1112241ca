"""mIoU, aAcc and mAcc from counted pixels, and what is kept of each image."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import MetricSpec, Score
from vitbench.kit import atomic, distributed, statistic
from vitbench_protocols.segmentation.classes import NONE, Classes, Indices

METRICS = (
    MetricSpec("miou", "mIoU", primary=True),
    MetricSpec("aacc", "aAcc"),
    MetricSpec("macc", "mAcc"),
)
KEPT = ("hits", "predicted", "true")  # pixels of each class, per image
Counts = NDArray[np.int64]


def confusion(truth: Indices, predicted: Indices, classes: int) -> Counts:
    """Count pixels by true class and predicted class.

    Args:
        truth: True class of each pixel; what is NONE does not count.
        predicted: Predicted class of each pixel; NONE is wrong wherever there is a true class.
        classes: How many there are.

    Returns:
        Shape (C, C + 1); the last column is NONE.
    """
    known = truth != NONE
    column = np.where(predicted == NONE, classes, predicted)[known].astype(np.int64)
    pairs = truth[known].astype(np.int64) * (classes + 1) + column
    return np.bincount(pairs, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


@dataclass
class Tally:
    """Counts of a split's images, by their places in it."""

    classes: int
    images: dict[int, Counts] = field(default_factory=dict)  # (3, C): KEPT
    total: Counts = field(init=False)  # (C, C + 1)

    def __post_init__(self) -> None:
        self.total = np.zeros((self.classes, self.classes + 1), np.int64)

    def add(self, place: int, counted: Counts) -> None:
        """Take in the confusion of one image."""
        inner = counted[:, : self.classes]
        self.images[place] = np.stack([inner.diagonal(), inner.sum(axis=0), counted.sum(axis=1)])
        self.total += counted

    def together(self) -> "Tally":
        """Return the tally of all processes, on the main one; elsewhere an empty one."""
        whole = Tally(self.classes)
        for images, total in distributed.gather_on_main((self.images, self.total)) or ():
            whole.images |= images
            whole.total += total
        return whole

    def items(self, ids: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return what a record keeps: ids, pixels of each class in each image (n, C), confusion."""
        places = sorted(self.images)
        kept = np.stack([self.images[place] for place in places])
        named = {f"confusion_{name}": kept[:, row] for row, name in enumerate(KEPT)}
        return {"ids": np.array([ids[place] for place in places]), **named, "confusion": self.total}


def summarize(items: Mapping[str, NDArray[Any]]) -> tuple[Score, ...]:
    """Return the scores of all images together.

    IoU of a class is hits / (predicted + true - hits), its accuracy hits / true; means are over
    the classes for which they are defined, so a class that is predicted and nowhere true has IoU 0
    and no accuracy.
    """
    images = len(items["ids"])
    once = np.ones((1, images))
    scores = []
    for metric in METRICS:
        found = statistic(items, metric.name)
        assert found is not None
        value = float(found.of(once)[0])
        scores.append(Score(metric.name, None if np.isnan(value) else value, images))
    return tuple(scores)


def iou_by_image(items: Mapping[str, NDArray[Any]]) -> NDArray[np.float64]:
    """Return the mean IoU of each image over the classes it shows, percent, (n,).

    NaN where nothing is labeled.
    """
    hits, predicted, true = (items[f"confusion_{name}"].astype(np.float64) for name in KEPT)
    union, there = predicted + true - hits, true > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        summed: NDArray[np.float64] = np.where(there, hits / union, 0.0).sum(axis=1)
        found: NDArray[np.float64] = 100 * summed / there.sum(axis=1)
    return found


def write_classes(total: Counts, classes: Classes, path: Path) -> None:
    """Write the table of classes: IoU and accuracy in percent, true and predicted pixels."""
    hits = total[:, : len(classes)].diagonal()
    predicted, true = total[:, : len(classes)].sum(axis=0), total.sum(axis=1)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["label", "name", "iou", "accuracy", "true", "predicted"])
        for index, (label, name) in enumerate(zip(classes.labels, classes.names, strict=True)):
            union = predicted[index] + true[index] - hits[index]
            writer.writerow(
                [
                    label,
                    name,
                    _percent(hits[index], union),
                    _percent(hits[index], true[index]),
                    true[index],
                    predicted[index],
                ]
            )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.2f}" if whole else ""
