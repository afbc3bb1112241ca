"""One label per pixel, from any annotation: painted objects, panoptic segments, index maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.data.instances import Instances

Labels = NDArray[np.int32]
Order = Literal["small-on-top", "file"]
Kind = Literal["categories", "segments"]
GeometryKind = Literal["resize-crop", "crop", "squash"]

BACKGROUND = 0
COUNTABLE = 1 << 16  # labels below this are counted, which is faster than sorting them
RESIZE, CROP = 256, 224  # the usual evaluation resize: 256 for a crop of 224, in proportion else


@dataclass(frozen=True, slots=True)
class LabelMap:
    """The segment of each pixel of an image, and the category of each segment."""

    segments: Labels  # (H, W); 0 is background, s > 0 an index into categories
    categories: Labels  # (segments + 1,); the first is 0, background's

    def labels(self, kind: Kind) -> Labels:
        """Return the map of categories or of segments (an object each), shape (H, W)."""
        return self.segments if kind == "segments" else self.categories[self.segments]


def paint(
    instances: Instances,
    masks: Sequence[NDArray[np.uint8]],
    *,
    order: Order = "small-on-top",
    crowd: bool = True,
) -> LabelMap:
    """Paint the objects of an image over one another.

    Args:
        instances: The objects.
        masks: Their masks, each (H, W); see `decode_masks`.
        order: Who covers whom: the object of fewer mask pixels the larger one (equal sizes:
            the later in the file), or the later in the file the earlier.
        crowd: Whether crowd regions are painted.

    Returns:
        The map, where segment s is object s - 1 of `instances.items`.
    """
    layers = [number for number, item in enumerate(instances.items) if crowd or not item.crowd]
    if order == "small-on-top":
        layers.sort(key=lambda number: -int(np.count_nonzero(masks[number])))
    segments = np.zeros((instances.height, instances.width), np.int32, order="F")  # as the masks
    for number in layers:
        np.copyto(segments, number + 1, where=masks[number].view(np.bool_))
    categories = [BACKGROUND, *(item.category for item in instances.items)]
    return LabelMap(np.ascontiguousarray(segments), np.asarray(categories, np.int32))


@dataclass(frozen=True, slots=True)
class Geometry:
    """How an image of any size becomes a square one: for pixels and labels alike."""

    kind: GeometryKind
    size: int  # pixels, both sides of the result

    def place(self, width: int, height: int) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
        """Return the size (width, height) to resize to, then the box to cut out of that.

        Source: torchvision's `Resize` and `CenterCrop`, whose rounding this follows.
        """
        if self.kind == "squash":
            return (self.size, self.size), (0, 0, self.size, self.size)
        short = self.size * RESIZE // CROP if self.kind == "resize-crop" else self.size
        if width <= height:
            width, height = short, int(short * height / width)
        else:
            width, height = int(short * width / height), short
        left, top = round((width - self.size) / 2.0), round((height - self.size) / 2.0)
        return (width, height), (left, top, left + self.size, top + self.size)

    def apply(self, image: Image.Image, resample: Image.Resampling) -> Image.Image:
        """Resize and cut an image."""
        size, box = self.place(*image.size)
        return image.resize(size, resample).crop(box)

    def apply_to_labels(self, labels: Labels) -> Labels:
        """Resize and cut a label map, taking the nearest label as PIL does, shape (size, size)."""
        placed = self.apply(Image.fromarray(labels), Image.Resampling.NEAREST)
        return np.asarray(placed, np.int32)


def crop_labels(
    labels: Labels, box: tuple[int, int, int, int], size: int, *, flip: bool = False
) -> Labels:
    """Cut a training crop out of a label map, as the crop of its image was cut.

    Args:
        labels: The image's labels, shape (H, W).
        box: Top, left, height, width of the crop in pixels of the image.
        size: Pixels of the crop's sides.
        flip: Whether the crop was mirrored, left to right.

    Returns:
        The crop's labels, nearest neighbor, shape (size, size).
    """
    top, left, height, width = box
    part = Image.fromarray(labels[top : top + height, left : left + width])
    crop = np.asarray(part.resize((size, size), Image.Resampling.NEAREST), np.int32)
    return crop[:, ::-1] if flip else crop


def labels_in(labels: NDArray[np.int32]) -> list[int]:
    """Return the labels that occur in a map, sorted."""
    if labels.max(initial=0) < COUNTABLE and labels.min(initial=0) >= 0:
        return np.flatnonzero(np.bincount(labels.ravel())).tolist()
    return np.unique(labels).tolist()  # type: ignore[no-any-return]
