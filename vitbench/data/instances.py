"""What an annotation says of one image's objects: categories, boxes, areas and masks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitbench.errors import DatasetError

CORNERS = 3  # a polygon with fewer points encloses nothing

Polygons = list[list[float]]  # each x, y, x, y, … in pixels


@dataclass(frozen=True, slots=True)
class RunLengths:
    """A mask as run lengths, column by column: compressed (a string) or not (a list)."""

    size: tuple[int, int]  # height, width
    counts: str | list[int]


@dataclass(frozen=True, slots=True)
class Instance:
    """One annotated object, as the file has it."""

    id: int
    category: int  # the dataset's category id, above 0
    box: tuple[float, float, float, float]  # left, top, width, height in pixels
    area: float  # square pixels, as the file says
    crowd: bool  # a region of many objects of the category
    segmentation: Polygons | RunLengths


@dataclass(frozen=True, slots=True)
class Instances:
    """All annotated objects of one image, in the order of the file."""

    image_id: int
    height: int
    width: int
    items: tuple[Instance, ...]


def decode_mask(instance: Instance, height: int, width: int) -> NDArray[np.uint8]:
    """Draw one object's mask, by pycocotools.

    Polygons with fewer than three points enclose nothing and draw nothing, as does an empty list;
    what lies outside the image is cut off.

    Args:
        instance: The object.
        height: Rows of its image.
        width: Columns of its image.

    Returns:
        1 on the object and 0 elsewhere, shape (H, W), in column-major order.

    Raises:
        DatasetError: If the run lengths are not those of an image of this size.

    Differs:
        `COCO.annToMask` reads a polygon of four numbers as a box; here it has two points.
    """
    from pycocotools import mask as coco_mask

    outline = instance.segmentation
    if isinstance(outline, RunLengths):
        return _decode_runs(instance.id, outline, height, width)
    polygons = [points for points in outline if len(points) >= 2 * CORNERS]
    if not polygons:
        return np.zeros((height, width), np.uint8, order="F")
    runs = coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))
    mask: NDArray[np.uint8] = coco_mask.decode(runs)
    return mask


def decode_masks(instances: Instances) -> list[NDArray[np.uint8]]:
    """Draw the masks of all objects of an image, each (H, W), in the order of the file."""
    return [decode_mask(item, instances.height, instances.width) for item in instances.items]


def _decode_runs(number: int, runs: RunLengths, height: int, width: int) -> NDArray[np.uint8]:
    from pycocotools import mask as coco_mask

    coded = {"size": list(runs.size), "counts": runs.counts}
    try:
        if tuple(runs.size) != (height, width):
            raise ValueError(f"size {list(runs.size)}")
        if isinstance(runs.counts, list):
            if min(runs.counts, default=-1) < 0 or sum(runs.counts) != height * width:
                raise ValueError(f"runs that add up to {sum(runs.counts)}")
            coded = coco_mask.frPyObjects(coded, height, width)
        mask: NDArray[np.uint8] = coco_mask.decode(coded)
    except ValueError as error:
        raise DatasetError(
            f"annotation {number} has run lengths that don't fit its image.",
            expected=f"size [{height}, {width}] and runs that add up to {height * width} pixels",
            found=str(error),
            hint="take the annotation file again from its source",
        ) from error
    return mask
