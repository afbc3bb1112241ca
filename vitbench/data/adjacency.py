"""Which neighbours of a patch share its ground-truth labels: the positives SelfPatch hopes for."""

from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from vitbench.data.label_maps import BACKGROUND, Labels

Descriptor = Literal["one-hot-map", "histogram", "presence", "raw-ids"]
Background = Literal["class", "zero"]
Border = Literal["valid", "wrap"]
Selection = Literal[
    "all", "interior", "any-foreground", "majority-foreground", "pure-foreground", "mixed",
    "mixed-interior",
]  # fmt: skip
Comparison = Literal["at-least", "above"]
Entry = TypeVar("Entry", bound=np.generic)

# The eight neighbours as (down, right) steps, row by row; the first four mirror the last four.
STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True, slots=True)
class Patches:
    """A label map cut into patches."""

    cells: NDArray[np.intp]  # (h, w, pixels of a patch); index into values
    histogram: NDArray[np.int64]  # (h, w, L); pixels of each label in each patch
    values: Labels  # (L,); the labels that occur, ascending

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Which of the labels are not background, shape (L,)."""
        return np.not_equal(self.values, BACKGROUND)


def cut(labels: Labels, patch_px: int) -> Patches:
    """Cut a label map into square patches and tabulate their labels.

    Args:
        labels: Labels from 0, shape (H, W); both sides multiples of `patch_px`.
        patch_px: Pixels of a patch's sides.
    """
    h, w = labels.shape[0] // patch_px, labels.shape[1] // patch_px
    values = np.flatnonzero(np.bincount(labels.ravel()))
    index = np.zeros(values[-1] + 1, np.intp)
    index[values] = np.arange(len(values))
    blocks = index[labels].reshape(h, patch_px, w, patch_px).transpose(0, 2, 1, 3)
    cells = blocks.reshape(h, w, patch_px * patch_px)
    rows = np.arange(h * w)[:, None] * len(values) + cells.reshape(h * w, -1)
    histogram = np.bincount(rows.ravel(), minlength=h * w * len(values)).reshape(h, w, -1)
    return Patches(cells, histogram, values.astype(np.int32))


def neighbour_similarity(
    patches: Patches, descriptor: Descriptor, background: Background = "class"
) -> NDArray[np.float64]:
    """Return the cosine between each patch's label descriptor and those of its eight neighbours.

    Opposite borders touch here; `existing_neighbours` says which of them count.

    Args:
        patches: The patches of a label map.
        descriptor: What a patch is described by: `one-hot-map` each pixel's label, one-hot, so
            that the cosine is the share of pixels that agree; `histogram` pixels per label;
            `presence` which labels occur; `raw-ids` each pixel's label as a number.
        background: Whether background is a label like others, or nothing (zero entries; for
            `raw-ids`, background is 1 and category c is c + 1, or background is 0).

    Returns:
        Cosines, shape (8, h, w), in the order of `STEPS`. A patch described by zeros only has
        cosine 0 with any.

    Source:
        The supplementary of Yun et al., SelfPatch, CVPR 2022, section G, leaves all of this open.
    """
    if descriptor == "one-hot-map":
        return _agreement(patches, background)
    if descriptor == "raw-ids":
        numbers = patches.values.astype(np.float64) + (background == "class")
        return neighbour_cosine(numbers[patches.cells])
    entries = patches.histogram if descriptor == "histogram" else patches.histogram > 0
    kept = entries if background == "class" else entries[..., patches.foreground]
    return neighbour_cosine(kept.astype(np.float64))


def neighbour_cosine(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine between each cell of a grid and its eight neighbours.

    Args:
        vectors: One vector per cell, shape (h, w, D); opposite borders touch.

    Returns:
        Shape (8, h, w), in the order of `STEPS`; 0 where a vector is all zeros.
    """
    squares = np.einsum("hwd,hwd->hw", vectors, vectors)
    dots = [np.einsum("hwd,hwd->hw", vectors, _shifted(vectors, step)) for step in STEPS[4:]]
    return _cosines(dots, squares)


def existing_neighbours(
    h: int, w: int, *, neighbours: int = 8, border: Border = "valid"
) -> NDArray[np.bool_]:
    """Say which of the eight neighbours each patch of a grid has.

    Args:
        h: Rows of the grid.
        w: Columns of the grid.
        neighbours: 8, or 4 for those that share a side.
        border: Whether a grid ends at its border, or opposite borders touch as in SelfPatch's
            code.

    Returns:
        Shape (8, h, w), in the order of `STEPS`.
    """
    exists = np.ones((8, h, w), np.bool_)
    rows, columns = np.arange(h)[:, None], np.arange(w)[None, :]
    for number, (down, right) in enumerate(STEPS):
        if neighbours == 4 and down and right:
            exists[number] = False
        elif border == "valid":
            inside_rows = (rows + down >= 0) & (rows + down < h)
            exists[number] = inside_rows & (columns + right >= 0) & (columns + right < w)
    return exists


def selected_patches(patches: Patches, selection: Selection) -> NDArray[np.bool_]:
    """Say which patches are counted, shape (h, w).

    `mixed` patches hold more than one label; `interior` ones lie off the grid's border.
    """
    h, w, _ = patches.histogram.shape
    foreground = patches.histogram[..., patches.foreground].sum(-1)
    share = np.asarray(foreground / patches.cells.shape[-1])
    interior = np.zeros((h, w), np.bool_)
    interior[1:-1, 1:-1] = True
    match selection:
        case "all":
            return np.ones((h, w), np.bool_)
        case "interior":
            return interior
        case "any-foreground":
            return np.asarray(share > 0)
        case "majority-foreground":
            return np.asarray(share > 0.5)
        case "pure-foreground":
            return np.asarray(share == 1)
        case "mixed" | "mixed-interior":
            mixed = np.asarray(np.count_nonzero(patches.histogram, axis=-1) > 1)
            return mixed & interior if selection == "mixed-interior" else mixed


def passes(
    similarity: NDArray[np.float64], threshold: float, comparison: Comparison = "at-least"
) -> NDArray[np.bool_]:
    """Say which similarities make a positive."""
    compare = np.greater_equal if comparison == "at-least" else np.greater
    return np.asarray(compare(similarity, threshold))


def neighbour_mask(
    labels: Labels,
    patch_px: int,
    *,
    descriptor: Descriptor = "one-hot-map",
    threshold: float = 0.95,
    border: Border = "wrap",
) -> NDArray[np.bool_]:
    """Say which neighbours of each patch are ground-truth positives: the mask of guided training.

    Args:
        labels: A training crop's labels, shape (H, W); see `crop_labels`.
        patch_px: Pixels of a patch's sides.
        descriptor: What a patch is described by.
        threshold: Cosine from which a neighbour is a positive.
        border: Whether opposite borders touch, as they do in SelfPatch's selection.

    Returns:
        Shape (h * w, 8), patches row by row, neighbours in the order of `STEPS`. A patch may
        have none.

    Source:
        SelfPatch's supplementary, section G (57.0 -> 59.5 J&F), which doesn't give its rule.
    """
    similarity = neighbour_similarity(cut(labels, patch_px), descriptor)
    exists = existing_neighbours(*similarity.shape[1:], border=border)
    return (passes(similarity, threshold) & exists).reshape(8, -1).T


def _agreement(patches: Patches, background: Background) -> NDArray[np.float64]:
    """Return the cosines of one-hot maps, from counts of the pixels that agree."""
    cells = patches.cells.astype(np.min_scalar_type(len(patches.values)))
    counted = patches.foreground[patches.cells]
    if background == "class":
        counted = np.ones_like(counted)
    squares = np.count_nonzero(counted, axis=-1).astype(np.float64)
    dots = [
        np.count_nonzero((cells == _shifted(cells, step)) & counted, axis=-1).astype(np.float64)
        for step in STEPS[4:]
    ]
    return _cosines(dots, squares)


def _cosines(dots: list[NDArray[np.float64]], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide the products with the last four neighbours, and mirror them to the first four."""
    cosines = np.zeros((8, *squares.shape))
    for number, (step, dot) in enumerate(zip(STEPS[4:], dots, strict=True), start=4):
        norm = np.sqrt(squares * _shifted(squares, step))
        np.divide(dot, norm, out=cosines[number], where=norm > 0)
        cosines[7 - number] = np.roll(cosines[number], step, axis=(0, 1))
    return cosines


def _shifted(grid: NDArray[Entry], step: tuple[int, int]) -> NDArray[Entry]:
    """Return the grid whose cell (y, x) is the neighbour of the original's, one step away."""
    return np.roll(grid, (-step[0], -step[1]), axis=(0, 1))
