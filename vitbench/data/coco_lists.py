"""The lists of an annotation file: its images, its categories, and where each annotation lies.

A parser reads every outline only to get over it. A cut wherever `}, {` stands takes half of that,
and is right if the rest of the file parses and each piece is one annotation. Else the parser finds
the annotations, or tells what is wrong.
"""

import re
from array import array
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from vitbench.data.coco_files import Category, ImageEntry, not_of_the_form, parse_annotations
from vitbench.outside_files import refused_as

OPENING = re.compile(rb'"annotations"\s*:\s*\[\s*(?={)')
BETWEEN = re.compile(rb"}\s*(?:,\s*{|\])")  # two annotations, or behind the last
CLOSE = ord("]")
MARK = b"0"  # in the place of all annotations


class Lists(NamedTuple):
    """What an annotation file lists; annotations as their places in it."""

    images: list[ImageEntry]
    categories: list[Category]
    spans: NDArray[np.int64]  # (n, 2) first byte of an annotation, and the one after the last


class _File(msgspec.Struct):
    images: list[ImageEntry]
    annotations: list[msgspec.Raw]
    categories: list[Category]


class _Rest(msgspec.Struct):
    images: list[ImageEntry]
    annotations: tuple[Literal[0]]  # the mark
    categories: list[Category]


def cut_lists(path: Path, content: bytes) -> Lists:
    """Cut an annotation file between what looks like annotations: each has to be decoded.

    Raises:
        DatasetError: The file without them is not of COCO's form: so they may be none.
    """
    with refused_as(partial(not_of_the_form, path)):
        spans = _cut(content)
        rest = content[: spans[0, 0]] + MARK + content[spans[-1, 1] :]
        found = msgspec.json.decode(rest, type=_Rest, strict=False)
    return Lists(found.images, found.categories, spans)


def parse_lists(path: Path, content: bytes) -> Lists:
    """Parse a whole annotation file.

    Raises:
        DatasetError: It is not of COCO's form, apart from what its annotations hold.
    """
    found = parse_annotations(path, content, _File)
    return Lists(found.images, found.categories, _places(content, found.annotations))


def _cut(content: bytes) -> NDArray[np.int64]:
    opening = OPENING.search(content)
    if opening is None:
        raise ValueError("no annotations")
    starts, ends = array("q", [opening.end()]), array("q")
    for found in BETWEEN.finditer(content, opening.end()):
        start, end = found.span()
        ends.append(start + 1)
        if content[end - 1] == CLOSE:
            return np.stack([starts, ends], axis=1)
        starts.append(end - 1)
    raise ValueError("no end of the annotations")


def _places(content: bytes, parts: Sequence[msgspec.Raw]) -> NDArray[np.int64]:
    starts = np.array([_address(part) for part in parts], np.int64) - _address(content)
    return np.stack([starts, starts + [memoryview(part).nbytes for part in parts]], axis=1)


def _address(found: bytes | msgspec.Raw) -> int:
    return np.frombuffer(found, np.uint8).ctypes.data
