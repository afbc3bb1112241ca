"""Tables of a run: by the patch's category, and by its distance to an object's border."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.kit import LabeledDataset, atomic
from vitbench_protocols.adjacency.truth import Bools, Truth

BACKGROUND = "background"
BORDER_PX = (0, 8, 16, 32, 64)  # lower ends of the bins, pixels of the square image

Measure = Callable[[Bools], Mapping[str, float | None]]  # patches (n, h, w) -> more columns


def group_tables(
    truth: Truth, dataset: LabeledDataset, folder: Path, measure: Measure | None = None
) -> dict[str, Path]:
    """Write `categories.csv` and `borders.csv`: a line a group of patches, all images together.

    Args:
        truth: The ground truth.
        dataset: Gives the categories their names.
        folder: Where the tables go.
        measure: Gives more columns for a group.

    Returns:
        The tables' names and files.
    """
    border = np.digitize(truth.border_distance, BORDER_PX) - 1
    ends = [*(f"{end} px" for end in BORDER_PX[1:]), "the end"]
    spans = {
        number: f"{start} px to {end}"
        for number, (start, end) in enumerate(zip(BORDER_PX, ends, strict=True))
    }
    names = {0: BACKGROUND, **dataset.categories}
    categories = _lines(names, truth.category, truth, measure)
    borders = _lines(spans, border, truth, measure)
    return {
        "categories": write_table(folder / "categories.csv", *categories),
        "borders": write_table(folder / "borders.csv", *borders),
    }


def write_table(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file, whole or not at all, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
    return path


def _lines(
    names: Mapping[int, str], groups: NDArray[Any], truth: Truth, measure: Measure | None
) -> tuple[list[str], list[list[Any]]]:
    header = ["id", "name", "patches", "images", "ground_truth"]  # the last: positives on average
    lines, counts = [], truth.counts
    for group in np.unique(groups[truth.counted]).tolist():
        mask = truth.counted & (groups == group)
        images = int(mask.any((1, 2)).sum())
        line = [group, names.get(group, ""), int(mask.sum()), images, counts[mask].mean().round(4)]
        more = {} if measure is None else measure(mask)
        lines.append(line + ["" if value is None else round(value, 4) for value in more.values()])
        columns = list(more)
    return header + columns, lines
