"""The ground truth of a whole split, gathered from all processes into arrays."""

from dataclasses import dataclass, fields
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Context
from vitbench.api import errors as wrong
from vitbench.kit import (
    FindPositives,
    LabeledDataset,
    PositiveRule,
    Positives,
    distributed,
    map_items,
)

Bools = NDArray[np.bool_]
Entry = TypeVar("Entry", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Truth:
    """The positives of n images; all have the same grid of h x w patches."""

    indices: NDArray[np.int64]  # (n,) items of the dataset
    ids: NDArray[np.str_]  # (n,)
    positive: Bools  # (n, 8, h, w)
    exists: Bools  # (n, 8, h, w)
    counted: Bools  # (n, h, w)
    category: NDArray[np.int32]  # (n, h, w)
    border_distance: NDArray[np.float32]  # (n, h, w) px

    @property
    def counts(self) -> NDArray[np.int64]:
        """Positives of each patch, shape (n, h, w)."""
        return np.asarray(np.count_nonzero(self.positive, axis=1))

    def patches(self, mask: Bools) -> "Truth":
        """Return some patches (n, h, w) of all images as one image, a column of patches."""
        column = (1, -1, 1)
        return Truth(
            indices=self.indices[:1],
            ids=self.ids[:1],
            positive=take_patches(self.positive, mask),
            exists=take_patches(self.exists, mask),
            counted=self.counted[mask].reshape(column),
            category=self.category[mask].reshape(column),
            border_distance=self.border_distance[mask].reshape(column),
        )


def take_patches(neighbors: NDArray[Entry], mask: Bools) -> NDArray[Entry]:
    """Take patches (n, h, w) out of values of their neighbors: (n, 8, h, w) -> (1, 8, m, 1)."""
    return np.moveaxis(neighbors, 1, -1)[mask].T[None, :, :, None]


def open_labels(context: Context) -> LabeledDataset:
    """Open the validation split; every kind of data that the protocol reads has labels."""
    dataset = context.dataset("val")
    assert isinstance(dataset, LabeledDataset), f"{dataset.info.kind} without labels for pixels"
    return dataset


def read_truth(dataset: LabeledDataset, reading: PositiveRule, context: Context) -> Truth:
    """Find the positives of every image that the reading counts, images in parallel.

    Raises:
        SettingError: If patches don't fill the image.
        DatasetError: If no image is left, or an annotation is broken.
    """
    if reading.image_px % reading.patch_px:
        raise wrong.SettingError(
            [f"--image-px is {reading.image_px}, expected a multiple of {reading.patch_px}"],
            hint="patches must fill the image",
        )
    mine = distributed.share(range(len(dataset)))
    found: list[tuple[int, Positives]] = []
    work = map_items(FindPositives(dataset, reading), mine, workers=context.workers)
    for done, (index, positives) in enumerate(zip(mine, work, strict=True), start=1):
        if positives is not None:
            found.append((index, positives))
        context.progress("ground truth", done, len(mine), "images")
    parts = sorted(chain.from_iterable(distributed.gather(found)), key=lambda entry: entry[0])
    if not parts:
        raise wrong.DatasetError(
            f"no image of {dataset.info.name!r} ({dataset.info.split}) has an annotation.",
            expected="at least one annotated image",
            found=f"{len(dataset)} images without any",
            hint="--empty-images counts them as background",
        )
    indices = np.array([index for index, _ in parts])
    stacked = {
        field.name: np.stack([getattr(positives, field.name) for _, positives in parts])
        for field in fields(Positives)
    }
    return Truth(indices, np.array([dataset.ids[index] for index in indices]), **stacked)


def image_means(counts: NDArray[np.int64], counted: Bools) -> NDArray[np.float64]:
    """Average counts (n, h, w) over the counted patches of each image, shape (n,); NaN: none."""
    patches = counted.sum((1, 2))
    sums = np.where(counted, counts, 0).sum((1, 2))
    means = np.full(len(sums), np.nan)
    return np.asarray(np.divide(sums, patches, out=means, where=patches > 0))
