"""Warnings about results files that fit the objects far better if read in another way."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from vitbench.kit import Instances
from vitbench_protocols.detection.results import Detected, box_of
from vitbench_protocols.detection.truth import Truth

COVERED = 0.5  # IoU from which a box covers an object
IMAGES = 1000  # that are looked at
PER_IMAGE = 100  # detections, the surest
ENOUGH = 5  # detections that a suspicion takes
FAR, SENSIBLE, FEW = 2, 0.2, 0.2  # times as many covered, and their share; share of right classes

Boxes = NDArray[np.float64]  # (n, 4): left, top, width, height, px
Size = tuple[int, int]  # height, width


def _from_corners(boxes: Boxes, _size: Size) -> Boxes:
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def _from_center(boxes: Boxes, _size: Size) -> Boxes:
    return np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]], axis=1)


def _from_fractions(boxes: Boxes, size: Size) -> Boxes:
    return np.asarray(boxes * np.array([size[1], size[0], size[1], size[0]]))


WAYS: Mapping[str, Callable[[Boxes, Size], Boxes]] = {
    "left, top, right, bottom": _from_corners,
    "center x, center y, width, height": _from_center,
    "fractions of the image's sides": _from_fractions,
}


def suspicions(detections: Sequence[Detected], truth: Truth) -> list[str]:
    """Return warnings that a results file may have another form of boxes or ids than COCO's."""
    notes = _images_without(detections, truth)
    groups = _by_image(detections, truth)
    read = [_Image.of(found, truth.objects[place], truth) for place, found in groups]
    total = sum(len(one.boxes) for one in read)
    own = sum(one.covered(one.boxes).sum() for one in read)
    for name, way in WAYS.items():
        other = sum(one.covered(way(one.boxes, one.size)).sum() for one in read)
        if other >= ENOUGH and other > max(FAR * own, SENSIBLE * total):
            notes.append(
                f"{own} of {total} boxes cover an object, but {other} if their numbers were "
                f"{name}; COCO's are left, top, width, height in pixels"
            )
    return [*notes, *_categories(read, int(own), truth)]


def _images_without(detections: Sequence[Detected], truth: Truth) -> list[str]:
    empty = len(truth.sizes) - len({one.image_id for one in detections})
    if not empty:
        return []
    return [
        f"{empty} of {len(truth.sizes)} images have no detection: their objects count as not "
        "found, as in COCO's evaluation"
    ]


def _categories(read: Sequence["_Image"], covered: int, truth: Truth) -> list[str]:
    right = sum(one.agreeing(one.categories) for one in read)
    if covered < ENOUGH or right > FEW * covered:
        return []
    text = f"{right} of the {covered} boxes that cover an object have its category"
    ids = np.array(list(truth.categories))
    used = {*np.concatenate([one.categories for one in read]).tolist()}
    for first in (0, 1):
        if not used <= {*range(first, first + len(ids))}:
            continue
        moved = [one.agreeing(ids[one.categories - first]) for one in read]
        if sum(moved) > max(FAR * right, SENSIBLE * covered):
            return [f"{text}, but {sum(moved)} if category_id counts the categories from {first}"]
    return [f"{text}: is category_id the id that the annotations of {truth.name} give?"]


def _by_image(detections: Sequence[Detected], truth: Truth) -> list[tuple[int, list[Detected]]]:
    """Return the surest detections of the first images that have any, with the image's place."""
    groups: dict[int, list[Detected]] = defaultdict(list)
    for one in detections:
        groups[one.image_id].append(one)
    places = {number: place for place, number in enumerate(truth.image_ids)}
    return [
        (places[number], sorted(group, key=lambda one: -one.score)[:PER_IMAGE])
        for number, group in islice(groups.items(), IMAGES)
    ]


class _Image:
    """The detections and the objects of one image."""

    def __init__(
        self, boxes: Boxes, categories: NDArray[np.int64], objects: Instances, shift: int
    ) -> None:
        self.boxes, self.categories = boxes, categories
        self.size = (objects.height, objects.width)
        items = [one for one in objects.items if not one.crowd]
        self._true_boxes = np.array([one.box for one in items], np.float64).reshape(-1, 4)
        self._true = np.array([one.category - shift for one in items], np.int64)

    @classmethod
    def of(cls, found: Sequence[Detected], objects: Instances, truth: Truth) -> "_Image":
        boxes = np.array([box_of(one, truth) for one in found], np.float64).reshape(-1, 4)
        categories = np.array([one.category_id for one in found], np.int64)
        return cls(boxes, categories, objects, truth.shift)

    def covered(self, boxes: Boxes) -> NDArray[np.bool_]:
        """Tell which boxes cover an object, whatever its category, shape (n,)."""
        return np.asarray((overlap(boxes, self._true_boxes) >= COVERED).any(axis=1))

    def agreeing(self, categories: NDArray[np.int64]) -> int:
        """Count the boxes that cover an object of their category."""
        covers = overlap(self.boxes, self._true_boxes) >= COVERED
        return int((covers & (categories[:, None] == self._true)).any(axis=1).sum())


def overlap(boxes: Boxes, others: Boxes) -> NDArray[np.float64]:
    """Return the IoU of each box with each of the others, shape (n, m)."""
    ends, other_ends = boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:]
    low = np.maximum(boxes[:, None, :2], others[:, :2])
    high = np.minimum(ends[:, None], other_ends)
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = np.clip(boxes[:, 2:], 0, None).prod(axis=1)[:, None] + others[:, 2:].prod(axis=1)
    union = areas - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
