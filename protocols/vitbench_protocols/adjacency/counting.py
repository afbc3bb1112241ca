"""Count the adjacent positives of each patch in the ground truth alone."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Context, Outcome, Score
from vitbench.api import errors as wrong
from vitbench.kit import (
    LabeledDataset,
    PositiveRule,
    Row,
    count_grid,
    distributed,
    near,
)
from vitbench_protocols.adjacency.pictures import draw_histogram, draw_overlays
from vitbench_protocols.adjacency.tables import group_tables, write_table
from vitbench_protocols.adjacency.truth import Truth, image_means, open_labels, read_truth

if TYPE_CHECKING:
    from vitbench_protocols.adjacency import Adjacency

PUBLISHED = (4.3, 1.2)  # mean and spread of the supplementary, to be met within
TOLERANCE = 0.05
READING = tuple(field.name for field in fields(PositiveRule))


def count_positives(protocol: "Adjacency", context: Context) -> Outcome:
    """Count the positives of every image, and draw what was counted.

    Raises:
        SettingError: If patches don't fill the image.
        DatasetError: If nothing is left to count.
    """
    dataset = open_labels(context)
    truth = read_truth(dataset, protocol, context)
    means = image_means(truth.counts, truth.counted)
    known = int(np.count_nonzero(~np.isnan(means)))
    if not known:
        raise wrong.DatasetError(
            f"no patch of {dataset.info.name!r} is counted.",
            expected="patches of the kind that --patches asks for",
            found=f"none that is {protocol.patches!r} in {len(means)} images",
            hint="--patches all",
        )
    mean, std = float(np.nanmean(means)), float(np.nanstd(means))
    context.note(
        f"{mean:.2f} ± {std:.2f} (std over {known} images), standard error of the mean "
        f"{std / max(known - 1, 1) ** 0.5:.2f}"
    )
    artifacts: dict[str, Path] = {}
    if distributed.is_main():
        artifacts = _artifacts(protocol, truth, means, dataset, context)
    if protocol.grid:
        artifacts["grid"] = _count_all(protocol, dataset, context)
    scores = (Score("positives_mean", mean, known), Score("positives_std", std, known))
    return Outcome(scores, {"ids": truth.ids, "positives_mean": means}, artifacts)


def _artifacts(
    protocol: "Adjacency",
    truth: Truth,
    means: NDArray[np.float64],
    dataset: LabeledDataset,
    context: Context,
) -> dict[str, Path]:
    counts = truth.counts
    drawn = draw_histogram(
        {"ground truth": (counts[truth.counted], means)}, context.output / "counts.svg"
    )
    tables = group_tables(truth, dataset, context.output)
    overlays = draw_overlays(protocol, protocol.overlays, truth, means, dataset, context)
    return {"histogram": drawn, **tables, **overlays}


def _count_all(protocol: "Adjacency", dataset: LabeledDataset, context: Context) -> Path:
    """Count every reading, tell which of them meet the published figures, and write all."""
    rows = count_grid(
        dataset,
        protocol,
        workers=context.workers,
        progress=lambda done, total: context.progress("all readings", done, total),
    )
    context.note(_told(rows, protocol))
    values = ("images", "image_mean", "image_std", "patch_mean", "patch_std")
    lines = [
        [
            *(getattr(row.reading, name) for name in READING),
            *(getattr(row, name) for name in values),
        ]
        for row in rows
    ]
    return write_table(context.output / "grid.csv", [*READING, *values], lines)


def _told(rows: Sequence[Row], own: PositiveRule) -> str:
    """Tell which readings meet the published figures; of those that count the same, the nearest."""
    found = near(rows, *PUBLISHED, tolerance=TOLERANCE)
    lines = [
        f"{len(found)} of {len(rows)} readings ({len(_alike(found))} of {len(_alike(rows))} that "
        f"count differently) lie within {PUBLISHED[0]} ± {TOLERANCE} and {PUBLISHED[1]} ± "
        f"{TOLERANCE}; one picked from so many after the fact proves nothing:"
    ]
    for alike in _alike(found):
        row = min(alike, key=lambda row: len(_changes(row.reading, own)))
        lines.append(
            f"  {row.image_mean:.2f} ± {row.image_std:.2f} over images, "
            f"{row.patch_mean:.2f} ± {row.patch_std:.2f} over patches: "
            + (", ".join(_changes(row.reading, own)) or "the settings of this run")
            + (f" ({len(alike) - 1} more count the same)" if len(alike) > 1 else "")
        )
    return "\n".join(lines)


def _alike(rows: Sequence[Row]) -> list[list[Row]]:
    """Group rows of equal figures, in the order of their first."""
    groups: dict[tuple[float, ...], list[Row]] = {}
    for row in rows:
        figures = (row.images, row.image_mean, row.image_std, row.patch_mean, row.patch_std)
        groups.setdefault(figures, []).append(row)
    return list(groups.values())


def _changes(reading: PositiveRule, own: PositiveRule) -> list[str]:
    return [
        f"{name}={getattr(reading, name)}"
        for name in READING
        if getattr(reading, name) != getattr(own, name)
    ]
