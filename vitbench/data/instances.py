"""The annotated objects of one image: categories, boxes, areas and masks."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.bounds import LONGEST_RUN, SHORTEST_OUTLINE
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


def encode_mask(instance: Instance, height: int, width: int) -> dict[str, Any]:
    """Return one object's mask as pycocotools' compressed run lengths.

    Polygons with fewer than three points enclose nothing and draw nothing, as does an empty list;
    what lies outside the image is cut off.

    Args:
        instance: The object.
        height: Rows of its image.
        width: Columns of its image.

    Returns:
        `size`, (height, width), and `counts`, bytes.

    Raises:
        DatasetError: If the run lengths are not those of an image of this size.

    Differs:
        `COCO.annToRLE` reads a polygon of four numbers as a box; here it has two points.
    """
    return _encode(instance.id, instance.segmentation, height, width)


def _encode(
    annotation: int, outline: Polygons | RunLengths, height: int, width: int
) -> dict[str, Any]:
    from pycocotools import mask as coco_mask

    if isinstance(outline, RunLengths):
        return encode_runs(f"annotation {annotation}", outline, height, width)
    polygons = [points for points in outline if len(points) >= 2 * CORNERS]
    if not polygons:
        return coco_mask.encode(np.zeros((height, width), np.uint8, order="F"))  # type: ignore[no-any-return]
    _check_length(annotation, polygons, height, width)
    return coco_mask.merge(coco_mask.frPyObjects(polygons, height, width))  # type: ignore[no-any-return]


def _check_length(annotation: int, polygons: Polygons, height: int, width: int) -> None:
    """Check that outlines are not absurdly long: pycocotools holds every pixel on their way."""
    limit = SHORTEST_OUTLINE + 2 * height * width
    for points in polygons:
        corners = np.asarray(points, np.float64).reshape(-1, 2)
        length = np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
        if length > limit:
            raise DatasetError(
                f"annotation {annotation} has an outline that is too long for its image.",
                expected=f"at most {limit} pixels round an object of {width} x {height} pixels",
                found=f"{length:.0f}",
                hint="take the file again from its source, or correct it there",
            )


def mask_area(annotation: int, outline: Polygons | RunLengths, height: int, width: int) -> float:
    """Return the area of an object's mask, square pixels.

    Raises:
        DatasetError: If the run lengths are not those of an image of this size.
    """
    from pycocotools import mask as coco_mask

    return float(coco_mask.area(_encode(annotation, outline, height, width)))


def mask_box(
    annotation: int, outline: Polygons | RunLengths, height: int, width: int
) -> tuple[float, float, float, float]:
    """Return the box around an object's mask: left, top, width, height, pixels.

    Polygons give their own extent, as COCO's boxes are made; run lengths that of their pixels.

    Raises:
        DatasetError: If the run lengths are not those of an image of this size.
    """
    from pycocotools import mask as coco_mask

    if isinstance(outline, RunLengths):
        coded = _encode(annotation, outline, height, width)
        left, top, wide, high = (float(side) for side in coco_mask.toBbox(coded))
        return left, top, wide, high
    across = [place for points in outline for place in points[::2]] or [0.0]
    down = [place for points in outline for place in points[1::2]] or [0.0]
    left, top = min(across), min(down)
    return left, top, max(across) - left, max(down) - top


def decode_mask(instance: Instance, height: int, width: int) -> NDArray[np.uint8]:
    """Draw one object's mask; see `encode_mask`.

    Returns:
        1 on the object and 0 elsewhere, shape (H, W), in column-major order.

    Raises:
        DatasetError: If the run lengths are not those of an image of this size.
    """
    from pycocotools import mask as coco_mask

    mask: NDArray[np.uint8] = coco_mask.decode(encode_mask(instance, height, width))
    return mask


def decode_masks(instances: Instances) -> list[NDArray[np.uint8]]:
    """Draw the masks of all objects of an image, each (H, W), in the order of the file."""
    return [decode_mask(item, instances.height, instances.width) for item in instances.items]


def runs_total(counts: str) -> int:
    """Return how many pixels compressed run lengths cover, whatever image size goes with them.

    Source:
        cocodataset/cocoapi, common/maskApi.c, rleFrString: six bits a character, from the lowest
        up; from the fourth run on, differences to the run before the last.
    """
    words = np.frombuffer(counts.encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    if not len(words):
        return 0
    ends = np.flatnonzero(words & 0x20 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if not len(ends) or ends[-1] != len(words) - 1 or lengths.max() > 12 or words.min() < 0:
        return -1
    places = np.arange(len(words)) - np.repeat(starts, lengths)
    runs = np.add.reduceat((words & 0x1F) << (5 * places), starts)
    runs -= np.where(words[ends] & 0x10, 1 << (5 * lengths), 0)
    odd, even = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    if min(odd.min(initial=0), even.min(initial=0), runs[0]) < 0:
        return -1
    if max(odd.max(initial=0), even.max(initial=0), runs[0]) > LONGEST_RUN:
        return -1
    return int(runs[0] + odd.sum() + even.sum())


def encode_runs(what: str, runs: RunLengths, height: int, width: int) -> dict[str, Any]:
    """Return run lengths compressed, after looking whether they are those of an image.

    Args:
        what: Whose they are, for the message.
        runs: As a file has them.
        height: Rows of the image.
        width: Columns of the image.

    Raises:
        DatasetError: They are another image's, or no run lengths.
    """
    from pycocotools import mask as coco_mask

    if tuple(runs.size) != (height, width):
        raise _misfit(what, height, width, f"size {list(runs.size)}")
    if isinstance(runs.counts, str):
        total = runs_total(runs.counts)
    else:
        total = sum(runs.counts) if min(runs.counts, default=-1) >= 0 else -1
    if total != height * width:
        raise _misfit(
            what, height, width, f"runs that add up to {total}" if total >= 0 else "no runs"
        )
    coded = {"size": list(runs.size), "counts": runs.counts}
    if isinstance(runs.counts, list):
        return coco_mask.frPyObjects(coded, height, width)  # type: ignore[no-any-return]
    return coded


def _misfit(what: str, height: int, width: int, found: str) -> DatasetError:
    return DatasetError(
        f"{what} has run lengths that don't fit its image.",
        expected=f"size [{height}, {width}] and runs that add up to {height * width} pixels",
        found=found,
        hint="take the file again from its source",
    )
