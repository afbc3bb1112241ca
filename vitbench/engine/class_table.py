"""A table beside a record: the mean of each metric over the images of each class."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench import distributed
from vitbench.data.kinds import ClassificationDataset, Dataset
from vitbench.engine.protocol import Context
from vitbench.errors import listed
from vitbench.records import atomic

NAME = "classes"


def write_class_table(
    dataset: Dataset[Any], items: Mapping[str, NDArray[np.float64]], context: Context
) -> dict[str, Path]:
    """Write the mean of each metric over the images of each class, by name, as CSV.

    A whole split that has no image of some class is told of.

    Args:
        dataset: The labeled images that were scored.
        items: By metric, its value for every image, (n,).
        context: Where files go.

    Returns:
        The artifact, by its name.
    """
    assert isinstance(dataset, ClassificationDataset), "a table of classes, of data without any"
    targets, names = np.asarray(dataset.targets), dataset.class_names
    counts = np.bincount(targets, minlength=len(names))
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    if absent and dataset.info.of_items is None:
        text = f"{len(absent)} of {len(names)} classes have no image in {dataset.info.split}"
        context.note(f"{text}: {listed(absent)}")
    path = context.output / f"{NAME}.csv"
    if distributed.is_main():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["class", "images", *items])
            for number, (name, count) in enumerate(zip(names, counts.tolist(), strict=True)):
                mine = targets == number
                means = (f"{values[mine].mean():.4f}" if count else "" for values in items.values())
                writer.writerow([name, count, *means])
    return {NAME: path}
