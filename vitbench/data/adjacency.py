"""The neighbors of a patch that share its ground-truth labels: its adjacent positives."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeVar

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

# The eight neighbors as (down, right) steps, row by row; the first four mirror the last four.
STEPS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Patches:
    """A label map cut into patches."""

    cells: NDArray[np.unsignedinteger[Any]]  # (h, w, pixels of a patch); index into values
    values: Labels  # (L,); the labels that occur, ascending

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        return self.cells.shape[0], self.cells.shape[1]

    @property
    def foreground(self) -> NDArray[np.bool_]:
        """Which of the labels are not background, shape (L,)."""
        return np.asarray(self.values != BACKGROUND)

    @cached_property
    def histogram(self) -> NDArray[np.int64]:
        """Pixels of each label in each patch, shape (h, w, L)."""
        h, w = self.grid
        labels = len(self.values)
        entries = np.arange(h * w)[:, None] * labels + self.cells.reshape(h * w, -1)
        return np.bincount(entries.ravel(), minlength=h * w * labels).reshape(h, w, labels)

    @cached_property
    def foreground_share(self) -> NDArray[np.float64]:
        """Share of each patch that is not background, 0 to 1, shape (h, w)."""
        inside = self.histogram[..., self.foreground].sum(-1)
        return np.asarray(inside / self.cells.shape[-1])


def cut(labels: Labels, patch_px: int) -> Patches:
    """Cut a label map into square patches.

    Args:
        labels: Labels from 0, shape (H, W); both sides multiples of `patch_px`.
        patch_px: Pixels of a patch's sides.
    """
    h, w = labels.shape[0] // patch_px, labels.shape[1] // patch_px
    values = np.flatnonzero(np.bincount(labels.ravel()))
    index = np.zeros(values[-1] + 1, np.min_scalar_type(len(values)))  # bytes, mostly
    index[values] = np.arange(len(values))
    blocks = index.take(labels, mode="clip").reshape(h, patch_px, w, patch_px)
    cells = blocks.transpose(0, 2, 1, 3).reshape(h, w, patch_px * patch_px)
    return Patches(cells, values.astype(np.int32))


def neighbor_similarity(
    patches: Patches, descriptor: Descriptor, background: Background = "class"
) -> NDArray[np.float64]:
    """Return the cosine between each patch's label descriptor and those of its eight neighbors.

    Opposite borders touch here; `existing_neighbors` says which of them count.

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
        return neighbor_cosine(numbers[patches.cells])
    entries = patches.histogram if descriptor == "histogram" else patches.histogram > 0
    kept = entries if background == "class" else entries[..., patches.foreground]
    return neighbor_cosine(kept.astype(np.float64))


def neighbor_cosine(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cosine between each cell of a grid and its eight neighbors.

    Args:
        vectors: One vector per cell, shape (h, w, D); opposite borders touch.

    Returns:
        Shape (8, h, w), in the order of `STEPS`; 0 where a vector is all zeros.
    """
    squares = np.einsum("hwd,hwd->hw", vectors, vectors)
    dots = [np.einsum("hwd,hwd->hw", vectors, _shifted(vectors, step)) for step in STEPS[4:]]
    return _cosines(dots, squares)


@lru_cache(maxsize=32)
def existing_neighbors(
    h: int, w: int, *, neighbors: int = 8, border: Border = "valid"
) -> NDArray[np.bool_]:
    """Return which of the eight neighbors each patch of a grid has.

    Args:
        h: Rows of the grid.
        w: Columns of the grid.
        neighbors: 8, or 4 for those that share a side.
        border: Whether a grid ends at its border, or opposite borders touch as in SelfPatch's
            code.

    Returns:
        Shape (8, h, w), in the order of `STEPS`; read-only, because it is kept.
    """
    exists = np.ones((8, h, w), np.bool_)
    rows, columns = np.arange(h)[:, None], np.arange(w)[None, :]
    for number, (down, right) in enumerate(STEPS):
        if neighbors == 4 and down and right:
            exists[number] = False
        elif border == "valid":
            inside_rows = (rows + down >= 0) & (rows + down < h)
            exists[number] = inside_rows & (columns + right >= 0) & (columns + right < w)
    exists.flags.writeable = False
    return exists


def selected_patches(patches: Patches, selection: Selection) -> NDArray[np.bool_]:
    """Return which patches are counted, shape (h, w).

    `mixed` patches hold more than one label; `interior` ones lie off the grid's border.
    """
    interior = np.zeros(patches.grid, np.bool_)
    interior[1:-1, 1:-1] = True
    match selection:
        case "all":
            return np.ones(patches.grid, np.bool_)
        case "interior":
            return interior
        case "any-foreground":
            return np.asarray(patches.foreground_share > 0)
        case "majority-foreground":
            return np.asarray(patches.foreground_share > 0.5)
        case "pure-foreground":
            return np.asarray(patches.foreground_share == 1)
        case "mixed" | "mixed-interior":
            mixed = np.asarray(np.count_nonzero(patches.histogram, axis=-1) > 1)
            return mixed & interior if selection == "mixed-interior" else mixed


def passes(
    similarity: NDArray[np.float64], threshold: float, comparison: Comparison = "at-least"
) -> NDArray[np.bool_]:
    """Return which similarities make a positive."""
    compare = np.greater_equal if comparison == "at-least" else np.greater
    return np.asarray(compare(similarity, threshold))


def neighbor_mask(
    labels: Labels,
    patch_px: int,
    *,
    descriptor: Descriptor = "one-hot-map",
    threshold: float = 0.95,
    border: Border = "wrap",
) -> NDArray[np.bool_]:
    """Return which neighbors of each patch are ground-truth positives: the mask of guided training.

    Args:
        labels: A training crop's labels, shape (H, W); see `crop_labels`.
        patch_px: Pixels of a patch's sides.
        descriptor: What a patch is described by.
        threshold: Cosine from which a neighbor is a positive.
        border: Whether opposite borders touch, as they do in SelfPatch's selection.

    Returns:
        Shape (h * w, 8), patches row by row, neighbors in the order of `STEPS`. A patch may
        have none.

    Source:
        SelfPatch's supplementary, section G (57.0 -> 59.5 J&F), which doesn't give its rule.
    """
    similarity = neighbor_similarity(cut(labels, patch_px), descriptor)
    exists = existing_neighbors(*similarity.shape[1:], border=border)
    return (passes(similarity, threshold) & exists).reshape(8, -1).T


def _agreement(patches: Patches, background: Background) -> NDArray[np.float64]:
    """Return the cosines of one-hot maps, from counts of the pixels that agree."""
    cells = patches.cells
    agree = [np.asarray(cells == _shifted(cells, step)) for step in STEPS[4:]]
    if background == "class":
        return _mirrored([_count(pixels) / cells.shape[-1] for pixels in agree])
    foreground = patches.foreground[cells]
    return _cosines([_count(pixels & foreground) for pixels in agree], _count(foreground))


def _count(pixels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Count the marked pixels of each patch (h, w, pixels); thrice as fast as `count_nonzero`."""
    marked = pixels.view(np.uint8).sum(-1, dtype=np.uint32)
    return np.asarray(marked, np.float64)


def _cosines(dots: list[NDArray[np.float64]], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide the products with the last four neighbors by the norms; zeros stay zeros."""
    cosines = []
    for step, dot in zip(STEPS[4:], dots, strict=True):
        norm = np.sqrt(squares * _shifted(squares, step))
        cosines.append(np.divide(dot, norm, out=np.zeros_like(dot), where=norm > 0))
    return _mirrored(cosines)


def _mirrored(ahead: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the cosines with all eight neighbors from those with the last four."""
    both = np.empty((8, *ahead[0].shape))
    for number, (step, cosine) in enumerate(zip(STEPS[4:], ahead, strict=True), start=4):
        both[number] = cosine
        both[7 - number] = np.roll(cosine, step, axis=(0, 1))
    return both


def _shifted(grid: NDArray[Entry], step: tuple[int, int]) -> NDArray[Entry]:
    """Return the grid whose cell (y, x) is the neighbor of the original's, one step away."""
    return np.roll(grid, (-step[0], -step[1]), axis=(0, 1))
