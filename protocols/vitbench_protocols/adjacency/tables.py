"""Tables of a run: by the patch's category, and by its distance to an object's border."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import atomic
from vitbench_protocols.adjacency.truth import LabelledDataset, Truth

BACKGROUND = "background"
BORDER_PX = (0, 8, 16, 32, 64)  # lower ends of the bins, pixels of the square image


def group_tables(
    truth: Truth, dataset: LabelledDataset, folder: Path, per_patch: Mapping[str, NDArray[np.int64]]
) -> dict[str, Path]:
    """Write `categories.csv` and `borders.csv`.

    Args:
        truth: The ground truth.
        dataset: Gives the categories their names.
        folder: Where the tables go.
        per_patch: Whole numbers of each patch (n, h, w): `positives`, and for features `hits` and
            `chosen`.

    Returns:
        The tables' names and files.
    """
    border = np.digitize(truth.border_distance, BORDER_PX) - 1
    ends = [*(f"{end} px" for end in BORDER_PX[1:]), "the end"]
    spans = {
        number: f"{start} px to {end}"
        for number, (start, end) in enumerate(zip(BORDER_PX, ends, strict=True))
    }
    labels = {0: BACKGROUND, **dataset.categories}
    return {
        "categories": _write(folder, "category", labels, truth.category, truth, per_patch),
        "borders": _write(folder, "border", spans, border, truth, per_patch),
    }


def write_table(path: Path, header: Sequence[str], lines: Iterable[Sequence[Any]]) -> Path:
    """Write a CSV file, whole or not at all, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part, part.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
    return path


def _write(
    folder: Path,
    title: str,
    names: Mapping[int, str],
    groups: NDArray[Any],
    truth: Truth,
    per_patch: Mapping[str, NDArray[np.int64]],
) -> Path:
    scored = "chosen" in per_patch
    header = [title, "name", "patches", "images", "positives_mean"]
    lines = []
    for group in np.unique(groups[truth.counted]).tolist():
        mask = truth.counted & (groups == group)
        sums = {key: int(values[mask].sum()) for key, values in per_patch.items()}
        patches, images = int(mask.sum()), int(mask.any((1, 2)).sum())
        line = [group, names.get(group, ""), patches, images, round(sums["positives"] / patches, 4)]
        if scored:
            line += [_percent(sums["hits"], sums[whole]) for whole in ("chosen", "positives")]
        lines.append(line)
    files = {"category": "categories.csv", "border": "borders.csv"}
    return write_table(folder / files[title], header + ["precision", "recall"] * scored, lines)


def _percent(part: int, whole: int) -> float | str:
    return round(100 * part / whole, 2) if whole else ""
