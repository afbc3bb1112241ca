"""Turn frames and masks into inputs of the propagation, and soft labels into masks."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vitbench.api import errors
from vitbench.kit import VOID, Clip

SizeRule = Literal["patch", "floor-64", "native"]
Stretch = Literal["frame", "objects", "none"]
Size = tuple[int, int]  # (height, width)

UNIT = 64  # px: what `floor-64` rounds the long side down to


def frame_size(size: Size, *, rule: SizeRule, short_side: int, patch: int) -> Size:
    """Return the size that frames are resized to, (height, width) in pixels.

    Args:
        size: Of the frames on disk.
        rule: `patch` reduces the short side to `short_side`, and rounds both to whole patches;
            `floor-64` brings the short side to `short_side` and the long one down to a multiple of
            64, as the 2021 scripts do; `native` only rounds to whole patches.
        short_side: In pixels.
        patch: Patch size in pixels.
    """
    height, width = size
    if rule == "floor-64":
        if height > width:
            return _floored(short_side, height, width), short_side
        return short_side, _floored(short_side, width, height)
    scale = 1.0 if rule == "native" else min(1.0, short_side / min(size))
    return _whole(height * scale, patch), _whole(width * scale, patch)


def nearest_whole(size: Size, patch: int) -> Size:
    """Return the size in whole patches that is nearest to a size, (height, width) in pixels."""
    return _whole(size[0], patch), _whole(size[1], patch)


def mask_grid(size: Size, *, rule: SizeRule, short_side: int, patch: int) -> Size:
    """Return the grid that the first mask is reduced to, (h, w) in tokens.

    It is the grid of the frame's tokens. Of `floor-64`, square frames are the exception: there the
    2021 scripts take the mask for upright and the frame for lying, and so does this.
    """
    height, width = size
    if rule == "floor-64" and height == width:
        return _floored(short_side, height, width) // patch, short_side // patch
    resized = frame_size(size, rule=rule, short_side=short_side, patch=patch)
    return resized[0] // patch, resized[1] // patch


def load_frame(clip: Clip, index: int, size: Size) -> Tensor:
    """Read a frame and resize it, RGB uint8, shape (3, *size)."""
    import cv2

    resized = cv2.resize(clip.frame(index), (size[1], size[0]))  # bilinear, on bytes
    return torch.from_numpy(np.ascontiguousarray(resized[:, :, ::-1].transpose(2, 0, 1)))


def first_labels(
    clip: Clip,
    grid: Size,
    *,
    void: Literal["ignore", "refuse"],
    count: Literal["mask", "grid"],
    shrink: Literal["nearest", "bilinear"],
) -> Tensor:
    """Turn the first mask into one map an object, background first, shape (1 + objects, *grid).

    Args:
        clip: Whose first mask is read.
        grid: Its tokens, (h, w).
        void: What to do with void pixels: take them for background, or refuse them.
        count: Count the objects in the mask, or in what is left of it on the grid; there, an
            object of the highest number that is too small for the grid is lost.
        shrink: How the mask is reduced.

    Raises:
        DatasetError: The mask has void pixels, which are refused.
    """
    mask = clip.mask(0)
    if void == "refuse" and (mask == VOID).any():
        raise errors.DatasetError(
            f"the first mask of clip {clip.id!r} has void pixels: {str(clip.masks[0])!r}.",
            expected="labels 0 to 254; this preset would follow void as object 255",
            found=f"label {VOID}",
            hint="--void ignore, or --preset standard",
        )
    mask = np.where(mask == VOID, np.uint8(0), mask)
    small = np.array(Image.fromarray(mask).resize((grid[1], grid[0]), Image.Resampling.NEAREST))
    objects = int(small.max()) if count == "grid" and not clip.enters else clip.objects
    if shrink == "nearest":
        return _one_hot(small, objects)
    return functional.interpolate(_one_hot(mask, objects)[None], size=grid, mode="bilinear")[0]


def given_labels(
    mask: NDArray[np.uint8],
    objects: Sequence[int],
    grid: Size,
    *,
    shrink: Literal["nearest", "bilinear"],
) -> Tensor:
    """Return one map for each object that enters with a mask, shape (objects, *grid), 0 to 1."""
    if shrink == "nearest":
        small = Image.fromarray(mask).resize((grid[1], grid[0]), Image.Resampling.NEAREST)
        return torch.stack([torch.from_numpy(np.array(small) == one).float() for one in objects])
    maps = torch.stack([torch.from_numpy(mask == one).float() for one in objects])
    return functional.interpolate(maps[None], size=grid, mode="bilinear")[0]


def introduce(soft: Tensor, objects: Sequence[int], given: Tensor) -> Tensor:
    """Put entering objects into the soft labels of a frame, over whatever was there.

    Args:
        soft: Soft labels, shape (C, h, w).
        objects: Numbers of the objects.
        given: Their maps, shape (objects, h, w), 0 to 1.
    """
    given = given.to(soft)
    mixed = soft * (1 - given.sum(dim=0))
    mixed[list(objects)] += given
    return mixed


def hard_mask(soft: Tensor, size: Size, *, patch: int, stretch: Stretch) -> NDArray[np.uint8]:
    """Turn soft labels into a label map of the frame's size.

    Args:
        soft: Soft labels, shape (C, h, w).
        size: Of the frame, (height, width).
        patch: Patch size in pixels; labels are enlarged by it, then fitted to the frame.
        stretch: Stretch each object's map over the frame to 0..1 first (`frame`), or each pixel's
            values over the objects (`objects`).
    """
    if stretch == "objects":
        soft = _stretched(soft, (0,))
    maps = functional.interpolate(
        soft[None], scale_factor=patch, mode="bilinear", recompute_scale_factor=False
    )[0]
    if stretch == "frame":
        maps = _stretched(maps, (1, 2))
    labels = maps.argmax(dim=0).to(torch.uint8).cpu().numpy()
    fitted = Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST)
    return np.array(fitted)


def _stretched(maps: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Map minimum and maximum over some dimensions to 0 and 1; constant values stay."""
    low, high = maps.amin(dims, keepdim=True), maps.amax(dims, keepdim=True)
    span = high - low
    return torch.where(span > 0, (maps - low) / span, maps)


def _one_hot(labels: NDArray[np.uint8], objects: int) -> Tensor:
    index = torch.from_numpy(labels).long()
    return functional.one_hot(index, objects + 1).permute(2, 0, 1).float()


def _floored(short_side: int, long: int, short: int) -> int:
    return max(short_side * long // short // UNIT, 1) * UNIT


def _whole(pixels: float, patch: int) -> int:
    return max(1, round(pixels / patch)) * patch
