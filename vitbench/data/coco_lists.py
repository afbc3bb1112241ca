"""The lists of an annotation file: its images, its categories, and where each annotation lies.

A parser reads every outline only to get over it. A cut wherever `}, {` stands takes half of that,
and is right if the rest of the file parses and each piece is one annotation. Else the parser finds
the annotations, or tells what is wrong.
"""

import re
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
OPEN, CLOSE, COMMA, END = b"{},]"
BLANK = np.isin(np.arange(256), list(b" \t\n\r"))  # by byte
MOST_BLANKS = 64  # in a row between two annotations
PIECE = 1 << 18  # bytes that are compared at once: they stay in the processor's cache
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
    text = np.frombuffer(content, np.uint8)
    closed = _places_of(CLOSE, text, opening.end())
    behind = _past_blanks(text, closed + 1)
    finished = np.flatnonzero(text.take(behind, mode="clip") == END)
    if not len(finished):
        raise ValueError("no end of the annotations")
    closed, behind = closed[: finished[0] + 1], behind[: finished[0] + 1]
    opened = _past_blanks(text, behind + 1)
    between = (text[behind] == COMMA) & (text.take(opened, mode="clip") == OPEN)
    starts = np.append(opening.end(), opened[between])
    return np.stack([starts, np.append(closed[between], closed[-1]) + 1], axis=1)


def _places_of(byte: int, text: NDArray[np.uint8], start: int) -> NDArray[np.int64]:
    pieces = range(start, len(text), PIECE)
    return np.concatenate([np.flatnonzero(text[at : at + PIECE] == byte) + at for at in pieces])


def _past_blanks(text: NDArray[np.uint8], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places of what follows blanks; where too many follow one another, of a blank."""
    found, blank = places.copy(), np.arange(len(places))
    for _ in range(MOST_BLANKS):
        blank = blank[BLANK[text.take(found[blank], mode="clip")]]
        found[blank] += 1
    return found


def _places(content: bytes, parts: Sequence[msgspec.Raw]) -> NDArray[np.int64]:
    starts = np.array([_address(part) for part in parts], np.int64) - _address(content)
    return np.stack([starts, starts + [memoryview(part).nbytes for part in parts]], axis=1)


def _address(found: bytes | msgspec.Raw) -> int:
    return np.frombuffer(found, np.uint8).ctypes.data
