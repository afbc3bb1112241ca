"""From an image to a class for each of its pixels: whole or by windows, flipped, at scales."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vitbench.api import Normalization
from vitbench.kit import Pixels, Size, fitted, resize_image, send, to_pixels
from vitbench_protocols.segmentation.classes import Indices
from vitbench_protocols.segmentation.enlarging import largest_class
from vitbench_protocols.segmentation.settings import Inference

Box = tuple[int, int, int, int]  # top, left, bottom, right
AT_ONCE = {"cuda": 8}  # windows in a pass; elsewhere it gains nothing


class Prepares(Protocol):
    """The patch size, device and normalization that an image is prepared with."""

    patch_px: int  # sides of what it is given are multiples of this
    device: torch.device
    normalization: Normalization


class Segmenter(Prepares, Protocol):
    """A classifier of the pixels of an image: a score for each class at every place."""

    def scores(self, images: Tensor) -> Tensor:
        """Return scores (B, C, h, w) float32 of normalized images (B, 3, H, W)."""
        ...

    def probabilities(self, scores: Tensor) -> Tensor:
        """Turn resized scores (B, C, H, W) into what may be averaged over views."""
        ...


def classify(settings: Inference, image: Pixels, segmenter: Segmenter) -> Indices:
    """Return the class of every pixel, shape (H, W)."""
    size: Size = (image.shape[0], image.shape[1])
    views = list(_views(settings, image, segmenter))
    if len(views) == 1:
        return _indices(_of_one_view(settings, views[0].image, size, segmenter))
    scores = torch.zeros(())
    for view in views:
        seen = _upsample(_seen(settings, view, segmenter), size)
        found = segmenter.probabilities(seen)
        scores = scores + (found.flip(-1) if view.flipped else found)
    return _indices(scores[0].argmax(dim=0))


def _of_one_view(settings: Inference, image: Tensor, size: Size, segmenter: Segmenter) -> Tensor:
    """Return the class of every pixel (H, W) from one view of an image."""
    seen: Size = (image.shape[-2], image.shape[-1])
    if len(list(windows(seen, settings.window, settings.stride))) > 1:
        scores = _upsample(_seen(settings, _View(image, flipped=False), segmenter), size)
        return scores[0].argmax(dim=0)
    whole = padded(image, segmenter.patch_px)
    (scores,) = segmenter.scores(whole)
    return largest_class(scores, (whole.shape[-2], whole.shape[-1]), seen, size)


def _indices(classes: Tensor) -> Indices:
    found: Indices = classes.to(torch.int16).cpu().numpy()
    return found


def classify_square(side: int, image: Pixels, segmenter: Segmenter) -> Indices:
    """Return the class of every pixel of an image that is squeezed to a square, (side, side)."""
    seen = squared(image, side)
    scores = segmenter.scores(segmenter.normalization(send(seen, segmenter.device)))
    return _indices(_upsample(scores, (side, side))[0].argmax(dim=0))


def squared(image: Pixels, side: int) -> Tensor:
    """Squeeze an image to a square, bilinearly with antialiasing, uint8 (1, 3, side, side)."""
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR)
    return to_pixels(small)[None]


def _views(settings: Inference, image: Pixels, segmenter: Segmenter) -> Iterator["_View"]:
    for scale in settings.scales:
        target = fitted(
            (image.shape[0], image.shape[1]),
            short=settings.short * scale,
            long=settings.long * scale,
        )
        view = normalized(image, target, segmenter)
        yield _View(view, flipped=False)
        if settings.flip:
            yield _View(view.flip(-1), flipped=True)


def _seen(settings: Inference, view: "_View", segmenter: Segmenter) -> Tensor:
    """Return scores of a view, of its size; where windows overlap, their mean."""
    size = view.image.shape[-2:]
    boxes = list(windows((size[0], size[1]), settings.window, settings.stride))
    if len(boxes) == 1:
        return _dense(view.image, segmenter)
    total = torch.zeros(())
    count = torch.zeros(size, device=view.image.device)
    step = AT_ONCE.get(view.image.device.type, 1)
    for start in range(0, len(boxes), step):
        some = boxes[start : start + step]  # of one size
        crops = [view.image[..., top:bottom, left:right] for top, left, bottom, right in some]
        found = _dense(torch.cat(crops), segmenter)
        for (top, left, bottom, right), scores in zip(some, found, strict=True):
            total = total + functional.pad(
                scores[None], (left, size[1] - right, top, size[0] - bottom)
            )
            count[top:bottom, left:right] += 1
    return total / count


@dataclass(frozen=True, slots=True)
class _View:
    image: Tensor  # (1, 3, H, W) normalized
    flipped: bool


def windows(size: Size, window: int, stride: int) -> Iterator[Box]:
    """Yield the windows that cover an image; the last of a row or column ends at its border.

    Args:
        size: Height and width.
        window: Side of a window; 0, or one as large as the image, gives one window.
        stride: Pixels from one to the next.
    """
    if not window:
        yield 0, 0, *size
        return
    for bottom in _ends(size[0], window, stride):
        for right in _ends(size[1], window, stride):
            yield max(bottom - window, 0), max(right - window, 0), bottom, right


def _ends(side: int, window: int, stride: int) -> list[int]:
    steps = max(side - window + stride - 1, 0) // stride
    return [min(step * stride + window, side) for step in range(steps + 1)]


def normalized(image: Pixels, size: Size, segmenter: Prepares) -> Tensor:
    """Return an image as a segmenter takes it, resized and normalized, (1, 3, H, W)."""
    pixels = torch.from_numpy(np.ascontiguousarray(resize_image(image, size)))
    return segmenter.normalization(send(pixels.permute(2, 0, 1)[None], segmenter.device))


def padded(image: Tensor, patch_px: int) -> Tensor:
    """Return an image with zeros below and to the right, up to whole patches."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % patch_px, 0, -height % patch_px))


def _dense(images: Tensor, segmenter: Segmenter) -> Tensor:
    """Return scores (B, C, H, W) of images of any size."""
    whole = padded(images, segmenter.patch_px)
    scores = _upsample(segmenter.scores(whole), (whole.shape[-2], whole.shape[-1]))
    return scores[..., : images.shape[-2], : images.shape[-1]]


def _upsample(scores: Tensor, size: Size) -> Tensor:
    if tuple(scores.shape[-2:]) == size:
        return scores
    return functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)
