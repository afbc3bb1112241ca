"""All readings of "adjacent positives" at once: one pass over the images, one set of tables."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from vitbench.data.adjacency import (
    Background,
    Border,
    Comparison,
    Descriptor,
    Selection,
    cut,
    existing_neighbors,
    neighbor_similarity,
    passes,
    selected_patches,
)
from vitbench.data.instances import Instances, decode_masks
from vitbench.data.label_maps import Geometry, GeometryKind, Kind, LabelMap, Labels, Order, paint
from vitbench.data.parallel import map_items
from vitbench.data.positives import PositiveRule, Target, Targets, is_annotated, label_map, place

# The axes in the order of the table's dimensions: first those that make another label map, then
# those that read the same map otherwise. Last, outermost: whether images without annotations count.
MAP_AXES: dict[str, tuple[Any, ...]] = {
    "overlap": get_args(Order),
    "crowd": (True, False),
    "geometry": get_args(GeometryKind),
    "labels": get_args(Kind),
}
COUNT_AXES: dict[str, tuple[Any, ...]] = {
    "descriptor": get_args(Descriptor),
    "background": get_args(Background),
    "comparison": get_args(Comparison),
    "neighbors": (8, 4),
    "border": get_args(Border),
    "patches": get_args(Selection),
}
AXES = {"empty_images": (False, True), **MAP_AXES, **COUNT_AXES}
SHAPE = tuple(len(values) for values in AXES.values())


@dataclass(frozen=True, slots=True)
class Row:
    """The positives that one rule counts."""

    reading: PositiveRule
    images: int  # with at least one counted patch
    image_mean: float
    image_std: float  # over the images' means
    patch_mean: float
    patch_std: float  # over all patches


@dataclass(frozen=True, slots=True)
class _CountImage:
    """The work on one image; sent to other processes."""

    dataset: Targets
    base: PositiveRule

    def __call__(self, index: int) -> tuple[bool, NDArray[np.float32]]:
        target = self.dataset.target(index)
        return is_annotated(target), count_all(target, self.base)


def count_grid(
    dataset: Targets, base: PositiveRule, *, workers: int, progress: Callable[[int, int], None]
) -> list[Row]:
    """Count the positives of every image under every reading.

    Args:
        dataset: The annotations.
        base: Gives what is no axis: sizes and threshold.
        workers: Processes.
        progress: Told how many images are done, of how many.

    Returns:
        A row for each reading that counts any patch, in the order of the axes.
    """
    sums = np.zeros((*SHAPE, 6))  # images, means, squared means, patches, counts, squared counts
    work = _CountImage(dataset, base)
    for done, (annotated, counted) in enumerate(
        map_items(work, range(len(dataset)), workers=workers), 1
    ):
        patches, total, squares = np.moveaxis(counted.astype(np.float64), -1, 0)
        used = patches > 0
        mean = np.divide(total, patches, out=np.zeros_like(total), where=used)
        entry = np.stack([used, mean, mean**2, patches, total, squares], axis=-1)
        sums[1] += entry
        if annotated:
            sums[0] += entry
        progress(done, len(dataset))
    return [
        _row(replace(base, **dict(zip(AXES, values, strict=True))), entry)
        for values, entry in zip(product(*AXES.values()), sums.reshape(-1, 6), strict=True)
        if entry[0]
    ]


def near(rows: Sequence[Row], mean: float, std: float, *, tolerance: float) -> list[Row]:
    """Return the rows whose mean and std, over images or over patches, lie near the ones given."""

    def close(row: Row) -> bool:
        spreads = ((row.image_mean, row.image_std), (row.patch_mean, row.patch_std))
        return any(
            abs(found[0] - mean) <= tolerance and abs(found[1] - std) <= tolerance
            for found in spreads
        )

    return [row for row in rows if close(row)]


def count_all(target: Target, base: PositiveRule) -> NDArray[np.float32]:
    """Count one image under every reading.

    Returns:
        For each reading (all axes but `empty_images`): counted patches, the sum of their
        positives, the sum of the squares; shape (*axes, 3), exact whole numbers.
    """
    known: dict[bytes, NDArray[np.float32]] = {}  # many readings paint the same map
    tables = []
    for whole in _label_maps(target):
        for kind in MAP_AXES["geometry"]:
            placed = place(whole, Geometry(kind, base.image_px))
            for labels in (placed.labels(name) for name in MAP_AXES["labels"]):
                key = labels.tobytes()
                if key not in known:
                    known[key] = _count_map(labels, base)
                tables.append(known[key])
    return np.stack(tables).reshape(*SHAPE[1:], 3)


def _label_maps(target: Target) -> Iterator[LabelMap]:
    """Yield the label map for each overlap and crowd rule, from masks that are decoded once."""
    rules = product(MAP_AXES["overlap"], MAP_AXES["crowd"])
    if isinstance(target, Instances):
        masks = decode_masks(target)
        for order, crowd in rules:
            yield paint(target, masks, order=order, crowd=crowd)
    else:
        for _ in rules:
            yield label_map(target)


def _count_map(labels: Labels, base: PositiveRule) -> NDArray[np.float32]:
    """Count one label map under the axes that read it, shape (*COUNT_AXES, 3)."""
    patches = cut(labels, base.patch_px)
    chosen = np.stack([selected_patches(patches, name).ravel() for name in COUNT_AXES["patches"]])
    exists = [
        existing_neighbors(*patches.grid, neighbors=neighbors, border=border)
        for neighbors, border in product(COUNT_AXES["neighbors"], COUNT_AXES["border"])
    ]
    counts = []
    for descriptor, background in product(COUNT_AXES["descriptor"], COUNT_AXES["background"]):
        similarity = neighbor_similarity(patches, descriptor, background)
        for comparison in COUNT_AXES["comparison"]:
            positive = passes(similarity, base.threshold, comparison)
            counts += [np.count_nonzero(positive & some, axis=0).ravel() for some in exists]
    table = np.stack(counts).astype(np.float32)  # (readings, N)
    weights = chosen.astype(np.float32).T  # (N, selections)
    total, squares = table @ weights, table**2 @ weights
    patches_counted = np.broadcast_to(weights.sum(0), total.shape)
    axes = [len(values) for values in COUNT_AXES.values()]
    return np.stack([patches_counted, total, squares], axis=-1).reshape(*axes, 3)


def _row(reading: PositiveRule, entry: NDArray[np.float64]) -> Row:
    images, means, squared_means, patches, counts, squared_counts = entry.tolist()
    image_mean, patch_mean = means / images, counts / patches
    return Row(
        reading=reading,
        images=int(images),
        image_mean=image_mean,
        image_std=max(0.0, squared_means / images - image_mean**2) ** 0.5,
        patch_mean=patch_mean,
        patch_std=max(0.0, squared_counts / patches - patch_mean**2) ** 0.5,
    )
