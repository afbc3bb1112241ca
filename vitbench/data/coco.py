"""COCO instances: `<root>/annotations/instances_val2017.json`, images in `<root>/val2017/`."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from vitbench.bounds import FARTHEST, MOST_CATEGORIES
from vitbench.data.annotated_images import AnnotatedImages
from vitbench.data.coco_files import (
    ImageEntry,
    check_images,
    check_known,
    check_unique,
    contradiction,
    find_annotations,
    read_annotations,
)
from vitbench.data.coco_lists import Lists, cut_lists, parse_lists
from vitbench.data.coco_objects import Objects, read_objects
from vitbench.data.instances import Instances
from vitbench.errors import DatasetError
from vitbench.records import DatasetInfo


class CocoDataset(AnnotatedImages[Instances]):
    """Images with their objects, sorted by image id.

    Boxes, areas and categories are held in memory; outlines are read from the annotation file
    when the target of their image is asked for.
    """

    def __init__(
        self,
        info: DatasetInfo,
        folder: Path,
        images: Sequence[ImageEntry],
        objects: Objects,
        categories: Mapping[int, str],
        *,
        shift: int = 0,
        notes: Sequence[str] = (),
    ) -> None:
        super().__init__(info, objects.path, folder, images, categories, notes)
        self.shift = shift  # what was added to the category ids of the file to get above 0
        self._objects = objects

    def target(self, index: int) -> Instances:
        """Return the objects of one image without reading the image.

        Raises:
            DatasetError: The annotation file was changed since it was opened.
        """
        entry = self.entries[index]
        items = self._objects.of_image(entry.id, shift=self.shift)
        return Instances(entry.id, entry.height, entry.width, items)


def open_coco(root: Path, split: str) -> CocoDataset:
    """Open one split of COCO-style instances.

    Raises:
        DatasetNotFound: There is no annotation file of the split.
        DatasetError: The file is empty, no JSON, not of this form, or contradicts itself.
    """
    path = find_annotations(root, "instances", split)
    content = read_annotations(path)
    with suppress(DatasetError):  # of the file, or of a cut at a wrong place: the parser knows
        return _opened(root, split, path, content, cut_lists(path, content))
    return _opened(root, split, path, content, parse_lists(path, content))


def _opened(root: Path, split: str, path: Path, content: bytes, lists: Lists) -> CocoDataset:
    check_images(path, lists.images)
    sizes = {entry.id: (entry.height, entry.width) for entry in lists.images}
    objects = read_objects(path, content, lists.spans, sizes)
    categories = [category.id for category in lists.categories]
    _check(path, list(sizes), objects, categories)
    shift = max(0, 1 - min(categories, default=1))
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="instances",
        items=len(sizes),
        classes=len(categories),
        item_noun="images",
    )
    names = {category.id + shift: category.name for category in lists.categories}
    folder = root / path.stem.removeprefix("instances_")
    notes = _derived(path, objects)
    return CocoDataset(info, folder, lists.images, objects, names, shift=shift, notes=notes)


def _derived(path: Path, objects: Objects) -> list[str]:
    """Return lines on the values that were derived from masks because the file lacks them."""
    return [
        f"{count} of {len(objects)} objects of {path.name} have no {part}: it is taken from "
        f"the mask{', or the box' if part == 'area' else ''}"
        for part, count in objects.derived.items()
        if count
    ]


def _check(path: Path, images: Sequence[int], objects: Objects, categories: Sequence[int]) -> None:
    check_unique(path, "category", categories)
    check_unique(path, "annotation", objects.ids)
    check_known(path, "image", objects.images, images)
    check_known(path, "category", objects.categories, categories)
    if len(categories) > MOST_CATEGORIES:
        found = str(len(categories))
        raise contradiction(path, f"has more than {MOST_CATEGORIES} categories", found)
    if max(categories, default=0) - min(categories, default=0) >= 1 << 31:
        found = str(max(categories))
        raise contradiction(path, "has category ids that are too far apart", found)
    boxes = objects.boxes
    for wrong, rows in (
        ("box has a negative side", (boxes[:, 2:] < 0).any(axis=1)),
        (f"box lies beyond {FARTHEST:g} px", (np.abs(boxes) > FARTHEST).any(axis=1)),
    ):
        if rows.any():
            first = int(rows.argmax())
            found = f"annotation {objects.ids[first]}: {boxes[first].tolist()}"
            raise contradiction(path, f"has an object whose {wrong}", found)
