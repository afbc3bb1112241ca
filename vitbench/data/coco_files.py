"""Find, read and check annotation files of COCO's form."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitbench.bounds import LARGEST_ANNOTATIONS, LONGEST_NAME, LONGEST_SIDE, MOST_PIXELS
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.outside_files import parsing, read_bytes, reason, refused_as

YEARS = ("2017", "2014", "")  # of the file's and the image folder's name, looked for in this order

Side = Annotated[int, msgspec.Meta(gt=0)]
FormT = TypeVar("FormT")


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """One image, as an annotation file lists it."""

    id: int
    file_name: str
    height: Side
    width: Side


@dataclass(frozen=True, slots=True)
class Category:
    """One category, as an annotation file lists it."""

    id: int
    name: str
    isthing: bool = True  # panoptic files tell things from stuff


def find_annotations(root: Path, form: str, split: str) -> Path:
    """Return the annotation file of a split, `form` being `instances` or `panoptic`.

    Raises:
        DatasetNotFound: There is none.
    """
    names = [f"annotations/{form}_{split}{year}.json" for year in YEARS]
    for name in names:
        if (root / name).is_file():
            return root / name
    folder = root / "annotations"
    present = sorted(path.name for path in folder.glob("*.json")) if folder.is_dir() else []
    raise DatasetNotFound(
        f"{str(root)!r} has no {form} annotations of the split {split!r}.",
        expected=" or ".join(names),
        found=listed(present) if folder.is_dir() else "no folder 'annotations'",
        hint="--data names the folder that holds annotations/ and the image folders",
    )


def read_annotations(path: Path) -> bytes:
    """Return what an annotation file holds.

    Raises:
        DatasetError: It is empty.
    """
    with parsing(f"the annotation file {str(path)!r}"):
        content = read_bytes(path, LARGEST_ANNOTATIONS)
    if not content.strip():
        raise DatasetError(
            f"the annotation file {str(path)!r} is empty.",
            expected="a JSON object with 'images', 'annotations' and 'categories'",
            found=f"{len(content)} bytes",
            hint="take the file again from its source",
        )
    return content


def parse_annotations(path: Path, content: bytes, form: type[FormT]) -> FormT:
    """Parse an annotation file; numbers may be written as text.

    Raises:
        DatasetError: It is no JSON, or not of this form.
    """
    with refused_as(partial(not_of_the_form, path)):
        return msgspec.json.decode(content, type=form, strict=False)


def not_of_the_form(path: Path, error: Exception, *, above: str = "") -> DatasetError:
    """Make the error for an annotation file, or a part of it, that can't be decoded.

    Args:
        path: The file.
        error: Of the decoder.
        above: Where the part lies in the file: `annotations.3`.
    """
    text, _, place = reason(error).partition(" - at `$")
    steps = [*([above] if above else []), *re.findall(r"\w+", place)]
    return DatasetError(
        f"the annotation file {str(path)!r} can't be read as COCO's.",
        expected="a JSON object with 'images', 'annotations' and 'categories'",
        found=f"{'.'.join(steps) or 'file'}: {text}",
        hint="take the file again from its source",
    )


def check_images(path: Path, images: Sequence[ImageEntry]) -> None:
    """Check that images are listed once, below their folder, and that there are any.

    Raises:
        DatasetError: They are not.
    """
    if not images:
        raise contradiction(path, "lists no image", "'images': []")
    check_unique(path, "image", [entry.id for entry in images])
    for entry in images:
        name = entry.file_name
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or not parts or not all(map(is_file_name, parts)):
            raise contradiction(path, "names an image outside its folder", repr(name))
        size = (entry.height, entry.width)
        if max(size) > LONGEST_SIDE or prod(size) > MOST_PIXELS:
            raise contradiction(
                path,
                "has an image that is larger than any that can be read",
                f"image {entry.id}: {entry.width} x {entry.height} pixels",
            )


def is_file_name(name: str) -> bool:
    """Tell whether a name can be that of a file or folder, and stays where it is."""
    return name not in ("", ".", "..") and "\0" not in name and len(name.encode()) <= LONGEST_NAME


def check_unique(path: Path, what: str, ids: ArrayLike) -> None:
    """Check that ids fit into 64 bits and that none occurs twice.

    Raises:
        DatasetError: They don't, or one does.
    """
    found, times = np.unique(whole_numbers(path, what, ids), return_counts=True)
    twice = found[times > 1].tolist()
    if twice:
        raise contradiction(path, f"has {what} ids twice", listed([str(i) for i in twice]))


def check_known(path: Path, what: str, used: ArrayLike, known: ArrayLike) -> None:
    """Check that annotations use ids that the file declares.

    Raises:
        DatasetError: They don't.
    """
    found = whole_numbers(path, what, used)
    unknown = np.unique(found[~np.isin(found, whole_numbers(path, what, known))])
    if len(unknown):
        raise contradiction(
            path,
            f"has annotations of {what} ids that it doesn't list",
            listed([str(i) for i in unknown.tolist()]),
        )


def whole_numbers(path: Path, what: str, ids: ArrayLike) -> NDArray[np.int64]:
    """Return ids as an array.

    Raises:
        DatasetError: One does not fit into 64 bits.
    """
    try:
        return np.asarray(ids, np.int64)
    except OverflowError as error:
        raise contradiction(path, f"has {what} ids beyond 64 bits", str(error)) from error


def check_size(path: Path, found: tuple[int, int], expected: tuple[int, int]) -> None:
    """Check that an image is as large as its annotations say; sizes are (width, height).

    Raises:
        DatasetError: It is not.
    """
    if found != expected:
        raise DatasetError(
            f"the image {str(path)!r} is not of the size that its annotations say.",
            expected=f"{expected[0]} x {expected[1]} pixels",
            found=f"{found[0]} x {found[1]} pixels",
            hint="use the images that the annotations were made for, not resized ones",
        )


def contradiction(path: Path, wrong: str, found: str) -> DatasetError:
    """Make the error for an annotation file that contradicts itself."""
    return DatasetError(
        f"the annotation file {str(path)!r} {wrong}.",
        found=found,
        hint="take the file again from its source, or correct it there",
    )
