"""The objects of an annotation file as columns; outlines stay in the file until one asks for them.

An object takes about 70 bytes. With its outline as Python's numbers it takes some kilobytes: five
gigabytes for COCO's training images.
"""

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from vitbench.bounds import FARTHEST, MOST_POLYGONS
from vitbench.data.coco_files import contradiction, not_of_the_form
from vitbench.data.instances import (
    Instance,
    Polygons,
    RunLengths,
    mask_area,
    mask_box,
)
from vitbench.errors import DatasetError
from vitbench.outside_files import refused_as, unless_broken

Place = Annotated[float, msgspec.Meta(ge=-FARTHEST, le=FARTHEST)]
Area = Annotated[float, msgspec.Meta(ge=0)]
Id = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
FewPolygons = Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MOST_POLYGONS)]
Box = tuple[float, float, float, float]  # left, top, width, height, px
Outline = Polygons | RunLengths
Facts = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns and inode of a file


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    bbox: Box | None = None
    area: Area | None = None
    iscrowd: bool = False
    segmentation: list[list[Place]] | RunLengths | None = None


class _Complete(msgspec.Struct, gc=False, kw_only=True):
    """An annotation of which nothing is derived; its fields stand as in COCO's own files."""

    segmentation: FewPolygons | RunLengths | None = None
    area: Area
    iscrowd: bool = False
    image_id: Id
    bbox: Box
    category_id: Id
    id: Id


class _Outlined(msgspec.Struct, gc=False):
    segmentation: list[list[float]] | RunLengths | None = None


ANNOTATIONS = msgspec.json.Decoder(_Annotation, strict=False)
BLOCKS = msgspec.json.Decoder(list[_Complete], strict=False)
BLOCK = 256  # annotations that are decoded at once: they stay in the processor's cache
IN_NUMBERS = b"0123456789.- \t\n\r"  # with what stands around them
FAR = len(f"{FARTHEST:.0f}")  # with fewer digits before its point a number is below it
OUTLINES = msgspec.json.Decoder(_Outlined, strict=False)
ROW = struct.Struct("=3q4dd?")  # an object without its outline, and the same for NumPy
TABLE = np.dtype([("ids", "=i8", 3), ("box", "=f8", 4), ("area", "=f8"), ("crowd", "?")])
UNKNOWN = (0, 0)  # size of an image that is not listed: refused later


@dataclass(frozen=True)
class Objects:
    """Columns over the n objects of an annotation file, in its order."""

    path: Path
    facts: Facts  # of the file when it was read
    ids: NDArray[np.int64]  # (n,)
    images: NDArray[np.int64]  # (n,) ids of their images
    categories: NDArray[np.int64]  # (n,) as in the file
    boxes: NDArray[np.float64]  # (n, 4) left, top, width, height, px
    areas: NDArray[np.float64]  # (n,) square px
    crowds: NDArray[np.bool_]  # (n,)
    spans: NDArray[np.int64]  # (n, 2) first byte in the file, and the one after the last
    derived: Mapping[str, int]  # "box", "area" -> how many objects had none in the file

    def __len__(self) -> int:
        return len(self.ids)

    def of_image(self, image: int, *, shift: int) -> tuple[Instance, ...]:
        """Return the objects of an image with their outlines, in the order of the file.

        Args:
            image: Its id.
            shift: What is added to the category ids.

        Raises:
            DatasetError: The annotation file was changed since it was read.
        """
        order, images = self._by_image
        rows = order[slice(*np.searchsorted(images, [image, image + 1]))]
        return tuple(
            Instance(number, category + shift, (left, top, width, height), area, crowd, outline)
            for number, category, (left, top, width, height), area, crowd, outline in zip(
                self.ids[rows].tolist(),
                self.categories[rows].tolist(),
                self.boxes[rows].tolist(),
                self.areas[rows].tolist(),
                self.crowds[rows].tolist(),
                self._outlines(rows),
                strict=True,
            )
        )

    @cached_property
    def _by_image(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.images, kind="stable")
        return order, self.images[order]

    def _outlines(self, rows: NDArray[np.int64]) -> Iterator[Outline]:
        with self.path.open("rb", buffering=0) as stream:
            if facts_of(os.fstat(stream.fileno())) != self.facts:
                raise DatasetError(
                    f"the annotation file {str(self.path)!r} was changed while it was in use.",
                    hint="run the same command again",
                )
            for start, end in self.spans[rows].tolist():
                stream.seek(start)
                found: _Outlined = OUTLINES.decode(stream.read(end - start))
                yield found.segmentation or []


def facts_of(found: os.stat_result) -> Facts:
    """Return what tells a file from its later states."""
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def read_objects(
    path: Path,
    content: bytes,
    spans: NDArray[np.int64],
    sizes: Mapping[int, tuple[int, int]],
) -> Objects:
    """Make columns of annotations; a box or an area that is not there is taken from the mask.

    Args:
        path: The file.
        content: What it holds.
        spans: Where its n annotations lie in the content, (n, 2).
        sizes: Height and width of each image, by its id.

    Raises:
        DatasetError: An annotation is not of COCO's form, or says what can't be so.
    """
    rows, derived = bytearray(), {"box": 0, "area": 0}

    def refusal(error: Exception) -> DatasetError:
        return not_of_the_form(path, error, above=f"annotations.{len(rows) // ROW.size}")

    with refused_as(refusal):  # once: around each annotation it takes as long as the decoding
        for first in range(0, len(spans), BLOCK):
            block = spans[first : first + BLOCK]
            complete = unless_broken(partial(_rows_at_once, content, block))
            for more in [complete] if complete else _rows(path, content, block, sizes, derived):
                rows += more
    table = np.frombuffer(rows, TABLE)
    ids, images, categories = table["ids"].T.copy()
    return Objects(
        path=path,
        facts=facts_of(path.stat()),
        ids=ids,
        images=images,
        categories=categories,
        boxes=table["box"].copy(),
        areas=table["area"].copy(),
        crowds=table["crowd"].copy(),
        spans=spans,
        derived=derived,
    )


def _rows_at_once(content: bytes, spans: NDArray[np.int64]) -> bytes:
    """Decode annotations together; raises whatever the error where one needs a closer look."""
    items: list[_Complete] = BLOCKS.decode(b"[" + content[spans[0, 0] : spans[-1, 1]] + b"]")
    outlines = [item.segmentation for item in items if isinstance(item.segmentation, list)]
    if len(items) != len(spans) or not _are_plain(list(chain.from_iterable(outlines))):
        raise ValueError("to be decoded one by one")
    pack = ROW.pack
    return b"".join(
        [
            pack(item.id, item.image_id, item.category_id, *item.bbox, item.area, item.iscrowd)
            for item in items
        ]
    )


def _are_plain(polygons: Sequence[msgspec.Raw]) -> bool:
    """Tell whether values are whole points within bounds, and written as nearly all files do.

    To make numbers of them takes three times as long. What holds an exponent, text or more digits
    is not plain: the decoder knows.
    """
    text = b"".join(polygons)
    marks = text.translate(None, IN_NUMBERS)
    if marks.replace(b",,", b"") != b"[,]" * len(polygons):  # not one comma more than pairs of them
        return False
    letters = np.frombuffer(text, np.uint8)
    digits = letters - ord("0") < 10
    far = ~(digits | (letters == ord(".")))[:-FAR]  # behind it a number may begin
    for place in range(1, FAR + 1):
        far &= digits[place : len(digits) - FAR + place]
    return not far.any()


def _rows(
    path: Path,
    content: bytes,
    spans: NDArray[np.int64],
    sizes: Mapping[int, tuple[int, int]],
    derived: dict[str, int],
) -> Iterator[bytes]:
    """Decode annotations one by one: what is wrong with the first that can't be used is raised."""
    for start, end in spans.tolist():
        item: _Annotation = ANNOTATIONS.decode(content[start:end])
        if isinstance(item.segmentation, list):
            _check_polygons(path, item.id, item.segmentation)
        box, area = item.bbox, item.area
        if box is None:
            box = _box_of_mask(path, item, sizes)
            derived["box"] += 1
        if area is None:
            area = _area_of_mask(item, box, sizes)
            derived["area"] += 1
        yield _packed(path, item, box, area)


def _check_polygons(path: Path, annotation: int, polygons: Polygons) -> None:
    if len(polygons) > MOST_POLYGONS:
        wrong = f"has an object of more than {MOST_POLYGONS} polygons"
        raise contradiction(path, wrong, f"annotation {annotation}: {len(polygons)}")
    for points in polygons:
        if len(points) % 2:
            wrong = "has an object whose polygon has half a point"
            raise contradiction(path, wrong, f"annotation {annotation}")


def _packed(path: Path, item: _Annotation, box: Box, area: float) -> bytes:
    try:
        return ROW.pack(item.id, item.image_id, item.category_id, *box, area, item.iscrowd)
    except struct.error as error:
        raise contradiction(path, "has ids beyond 64 bits", f"annotation {item.id}") from error


def _box_of_mask(path: Path, item: _Annotation, sizes: Mapping[int, tuple[int, int]]) -> Box:
    if not item.segmentation:
        raise contradiction(path, "has an object without box and mask", f"annotation {item.id}")
    return mask_box(item.id, item.segmentation, *sizes.get(item.image_id, UNKNOWN))


def _area_of_mask(item: _Annotation, box: Box, sizes: Mapping[int, tuple[int, int]]) -> float:
    if not item.segmentation:
        return box[2] * box[3]
    return mask_area(item.id, item.segmentation, *sizes.get(item.image_id, UNKNOWN))
