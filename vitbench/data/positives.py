"""From one image's annotations to its ground-truth positives, under one reading of the paper."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from vitbench.data.adjacency import (
    Background,
    Border,
    Comparison,
    Descriptor,
    Patches,
    Selection,
    cut,
    existing_neighbors,
    neighbor_similarity,
    passes,
    selected_patches,
)
from vitbench.data.instances import Instances, decode_masks
from vitbench.data.label_maps import (
    Geometry,
    GeometryKind,
    Kind,
    LabelMap,
    Labels,
    Order,
    paint,
)
from vitbench.settings import setting

Target = Instances | LabelMap | Labels  # what datasets with a label per pixel say of an image


class Targets(Protocol):
    """A dataset with one annotation an image, read without its image."""

    def __len__(self) -> int: ...
    def target(self, index: int) -> Target:
        """Return the annotation of one image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PositiveRule:
    """One reading of "adjacent positives": all that the paper's sentence leaves open.

    The defaults are the best-supported reading of SelfPatch's supplementary, section G.
    """

    labels: Kind = setting(
        "categories",
        help="what two patches must share: the category, or the very segment (object)",
    )
    overlap: Order = setting(
        "small-on-top", help="which of two overlapping objects a pixel belongs to"
    )
    crowd: bool = setting(
        True, help="give crowd regions their category", off="count crowd regions as background"
    )
    empty_images: bool = setting(False, help="also count images without any annotation")
    geometry: GeometryKind = setting(
        "resize-crop",
        help="how an image becomes square: short side resized to 256/224 of the crop, then center"
        " crop; short side resized to the crop, then center crop; or both sides resized",
    )
    image_px: int = setting(224, help="side of the square image, in pixels", minimum=1)
    patch_px: int = setting(16, help="side of a patch, in pixels", minimum=1)
    descriptor: Descriptor = setting(
        "one-hot-map", help="vector of labels that describes a patch in the ground truth"
    )
    background: Background = setting(
        "class", help="unlabeled pixels: a class of their own, or zeros in the descriptor"
    )
    neighbors: int = setting(
        8, help="number of neighbors that a patch is compared with", choices=(4, 8)
    )
    border: Border = setting(
        "valid", help="neighbors beyond the border: none, or those at the opposite border"
    )
    patches: Selection = setting("all", help="which patches are counted")
    threshold: float = setting(
        0.95,
        help="cosine of two descriptors from which on a neighbor is positive",
        minimum=-1.0,
        maximum=1.0,
    )
    comparison: Comparison = setting(
        "at-least", help="whether a cosine equal to the threshold is enough, or must exceed it"
    )


@dataclass(frozen=True, slots=True)
class Positives:
    """One image's ground truth on its grid of patches."""

    positive: NDArray[np.bool_]  # (8, h, w), in the order of STEPS; never where exists is False
    exists: NDArray[np.bool_]  # (8, h, w); the neighbors that are looked at
    counted: NDArray[np.bool_]  # (h, w); the patches that are counted
    category: Labels  # (h, w); the label that most pixels of the patch have
    border_distance: NDArray[np.float32]  # (h, w); px from the patch's center to another label

    @property
    def counts(self) -> NDArray[np.int64]:
        """Positives of each patch, shape (h, w)."""
        return np.asarray(np.count_nonzero(self.positive, axis=0))

    @property
    def mean(self) -> float:
        """Positives of a counted patch on average; NaN where no patch is counted."""
        counts = self.counts[self.counted]
        return float(counts.mean()) if len(counts) else float("nan")


def is_annotated(target: Target) -> bool:
    """Tell whether anything but background is annotated."""
    if isinstance(target, Instances):
        return bool(target.items)
    return bool(np.any(target.segments if isinstance(target, LabelMap) else target))


def label_map(target: Target, *, overlap: Order = "small-on-top", crowd: bool = True) -> LabelMap:
    """Make one label map of whatever a dataset gives: objects, segments or an index map."""
    if isinstance(target, Instances):
        return paint(target, decode_masks(target), order=overlap, crowd=crowd)
    if isinstance(target, LabelMap):
        return target
    return LabelMap(target, np.arange(target.max(initial=0) + 1, dtype=np.int32))


def find_positives(target: Target, reading: PositiveRule) -> Positives:
    """Find the ground-truth positives of an image's patches.

    Raises:
        DatasetError: If a mask doesn't fit the image.
    """
    whole = label_map(target, overlap=reading.overlap, crowd=reading.crowd)
    placed = place(whole, Geometry(reading.geometry, reading.image_px))
    labels = placed.labels(reading.labels)
    patches = cut(labels, reading.patch_px)
    similarity = neighbor_similarity(patches, reading.descriptor, reading.background)
    exists = existing_neighbors(
        *similarity.shape[1:], neighbors=reading.neighbors, border=reading.border
    )
    return Positives(
        positive=passes(similarity, reading.threshold, reading.comparison) & exists,
        exists=exists,
        counted=selected_patches(patches, reading.patches),
        category=_most_frequent(cut(placed.labels("categories"), reading.patch_px)),
        border_distance=_border_distance(labels, reading.patch_px),
    )


@dataclass(frozen=True, slots=True)
class FindPositives:
    """The work of finding an image's positives; can be sent to other processes."""

    dataset: Targets
    reading: PositiveRule

    def __call__(self, index: int) -> Positives | None:
        """Return the positives of one image, or None if the reading leaves it out."""
        target = self.dataset.target(index)
        if not self.reading.empty_images and not is_annotated(target):
            return None
        return find_positives(target, self.reading)


def place(whole: LabelMap, geometry: Geometry) -> LabelMap:
    """Resize and cut a label map."""
    return LabelMap(geometry.apply_to_labels(whole.segments), whole.categories)


def _most_frequent(patches: Patches) -> Labels:
    """Return the label of most pixels of each patch (the lowest of equals), shape (h, w)."""
    return np.asarray(patches.values[patches.histogram.argmax(-1)])


def _border_distance(labels: Labels, patch_px: int) -> NDArray[np.float32]:
    """Return how far each patch's center is from a pixel beside another label, shape (h, w)."""
    import cv2

    inside = np.ones(labels.shape, np.uint8)
    across = labels[:, 1:] != labels[:, :-1]
    down = labels[1:] != labels[:-1]
    inside[:, 1:][across] = inside[:, :-1][across] = 0
    inside[1:][down] = inside[:-1][down] = 0
    if inside.all():
        return np.full([side // patch_px for side in labels.shape], np.inf, np.float32)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    center = patch_px // 2
    return np.asarray(distance[center::patch_px, center::patch_px], np.float32)
