"""COCO instances: `<root>/annotations/instances_val2017.json`, images in `<root>/val2017/`."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, FiniteFloat, TypeAdapter

from vitbench.data.coco_files import (
    Category,
    ImageEntry,
    check_images,
    check_known,
    check_size,
    check_unique,
    contradiction,
    find_annotations,
    parse_annotations,
    read_annotations,
)
from vitbench.data.decode import read_file, read_image
from vitbench.data.instances import (
    FARTHEST,
    Instance,
    Instances,
    RunLengths,
    mask_area,
    mask_box,
)
from vitbench.data.kinds import Sample, part_of
from vitbench.records import DatasetInfo

MOST_CATEGORIES = 20_000  # tables of scores have a row for each


@dataclass(frozen=True, slots=True)
class _Annotation:
    id: int
    image_id: int
    category_id: int
    bbox: tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat] | None = None
    area: Annotated[FiniteFloat, Field(ge=0)] | None = None
    iscrowd: bool = False
    segmentation: list[list[FiniteFloat]] | RunLengths | None = None


@dataclass(frozen=True, slots=True)
class _File:
    images: list[ImageEntry]
    annotations: list[_Annotation]
    categories: list[Category]


class CocoDataset:
    """Images with their objects, sorted by image id.

    The annotations are held in memory; an image is read when its item is asked for, so all that
    needs no pixels works without the images.
    """

    class_names: Sequence[str] = ()  # in the annotation file

    def __init__(
        self,
        info: DatasetInfo,
        folder: Path,
        images: Sequence[ImageEntry],
        objects: Mapping[int, Sequence[Instance]],
        categories: Mapping[int, str],
        *,
        file: Path,
        shift: int = 0,
        notes: Sequence[str] = (),
    ) -> None:
        self.info = info
        self.notes = tuple(notes)  # what a reader of the scores should know of the file
        self.shared_files = (file,)  # the annotations, class names among them
        self.categories = categories  # category id, above 0 -> name
        self.shift = shift  # what was added to the ids of the file to get above 0
        self.ids = [entry.file_name for entry in images]
        self.files = [folder / entry.file_name for entry in images]
        self._images, self._objects = images, objects

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of one image."""
        return (self.files[index],)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return nothing: one file holds all annotations."""
        return ()

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return the path and the bytes of one image."""
        return str(self.files[index]), read_file(self.files[index])

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given."""
        part = copy(self)
        part.info = part_of(self.info, len(indices))
        part.ids = [self.ids[index] for index in indices]
        part.files = [self.files[index] for index in indices]
        part._images = [self._images[index] for index in indices]
        return part

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Sample[Instances]:
        target, path = self.target(index), self.files[index]
        image = read_image(path)
        check_size(path, image.size, (target.width, target.height))
        return Sample(self.ids[index], image, target)

    def target(self, index: int) -> Instances:
        """Return the objects of one image without reading the image."""
        entry = self._images[index]
        items = tuple(self._objects.get(entry.id, ()))
        return Instances(entry.id, entry.height, entry.width, items)


def open_coco(root: Path, split: str) -> CocoDataset:
    """Open one split of COCO-style instances.

    Raises:
        DatasetNotFound: There is no annotation file of the split.
        DatasetError: The file is empty, no JSON, not of this form, or contradicts itself.
    """
    path = find_annotations(root, "instances", split)
    content = read_annotations(path)
    parsed: _File = parse_annotations(path, content, TypeAdapter(_File))
    shift = max(0, 1 - min((category.id for category in parsed.categories), default=1))
    _check(path, parsed)
    sizes = {entry.id: (entry.height, entry.width) for entry in parsed.images}
    objects: dict[int, list[Instance]] = {}
    for item in parsed.annotations:
        found = _instance(path, item, sizes[item.image_id], shift)
        objects.setdefault(item.image_id, []).append(found)
    folder = root / path.stem.removeprefix("instances_")
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="instances",
        items=len(parsed.images),
        classes=len(parsed.categories),
        item_noun="images",
    )
    names = {category.id + shift: category.name for category in parsed.categories}
    return CocoDataset(
        info,
        folder,
        sorted(parsed.images, key=lambda entry: entry.id),
        objects,
        names,
        file=path,
        shift=shift,
        notes=_derived(path, parsed.annotations),
    )


def _instance(path: Path, item: _Annotation, size: tuple[int, int], shift: int) -> Instance:
    """Return an object as the file has it; a box or an area that is not there, from its mask."""
    outline = [] if item.segmentation is None else item.segmentation
    box, area = item.bbox, item.area
    if box is None:
        if not outline:
            raise contradiction(path, "has an object without box and mask", f"annotation {item.id}")
        box = mask_box(item.id, outline, *size)
    if area is None:
        area = mask_area(item.id, outline, *size) if outline else box[2] * box[3]
    return Instance(
        id=item.id,
        category=item.category_id + shift,
        box=box,
        area=area,
        crowd=item.iscrowd,
        segmentation=outline,
    )


def _derived(path: Path, annotations: Sequence[_Annotation]) -> list[str]:
    """Log what was taken from the masks, because the file does not have it."""
    counts = {
        "box": sum(item.bbox is None for item in annotations),
        "area": sum(item.area is None for item in annotations),
    }
    return [
        f"{count} of {len(annotations)} objects of {path.name} have no {part}: it is taken from "
        f"the mask{', or the box' if part == 'area' else ''}"
        for part, count in counts.items()
        if count
    ]


def _check(path: Path, parsed: _File) -> None:
    check_images(path, parsed.images)
    check_unique(path, "category", [category.id for category in parsed.categories])
    check_unique(path, "annotation", [item.id for item in parsed.annotations])
    known = [entry.id for entry in parsed.images]
    check_known(path, "image", [item.image_id for item in parsed.annotations], known)
    known = [category.id for category in parsed.categories]
    check_known(path, "category", [item.category_id for item in parsed.annotations], known)
    if len(known) > MOST_CATEGORIES:
        raise contradiction(path, f"has more than {MOST_CATEGORIES} categories", str(len(known)))
    if max(known, default=0) - min(known, default=0) >= 1 << 31:
        raise contradiction(path, "has category ids that are too far apart", str(max(known)))
    for item in parsed.annotations:
        wrong = _wrong(item)
        if wrong:
            raise contradiction(path, f"has an object whose {wrong}", f"annotation {item.id}")


def _wrong(item: _Annotation) -> str:
    """Log what can't be so of an object; an empty text where all can."""
    if item.bbox is not None:
        if min(item.bbox[2:]) < 0:
            return f"box has a negative side ({item.bbox})"
        if max(map(abs, item.bbox)) > FARTHEST:
            return f"box lies beyond {FARTHEST:g} px ({item.bbox})"
    if isinstance(item.segmentation, list):
        for points in item.segmentation:
            if len(points) % 2:
                return "polygon has half a point"
            if points and not -FARTHEST <= min(points) <= max(points) <= FARTHEST:
                return f"polygon lies beyond {FARTHEST:g} px"
    return ""
