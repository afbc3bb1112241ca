"""From an image to a class for each of its pixels: whole or by windows, flipped, at scales."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vitbench.api import (
    Backbone,
    Normalization,
    Pixels,
    Size,
    errors,
    fitted,
    resize_image,
    setting,
)
from vitbench_protocols.segmentation.classes import Indices

Box = tuple[int, int, int, int]  # top, left, bottom, right


class Prepares(Protocol):
    """What says how an image is prepared for it."""

    patch_px: int  # sides of what it is given are multiples of this
    device: torch.device
    normalization: Normalization


class Segmenter(Prepares, Protocol):
    """What gives every place of an image a score for each class."""

    def scores(self, images: Tensor) -> Tensor:
        """Return scores (B, C, h, w) float32 of normalized images (B, 3, H, W)."""
        ...

    def probabilities(self, scores: Tensor) -> Tensor:
        """Turn resized scores (B, C, H, W) into what may be averaged over views."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """How an image is seen when it is scored; all of it moves the score.

    Whole images are the published protocols'. The same network gains points by windows, flips and
    scales, so they are named settings.

    Source:
        mmsegmentation 0.x, EncoderDecoder: whole_inference, slide_inference, aug_test.

    Differs:
        An image whose sides are no multiples of the patch is padded, its scores are cut back; the
        reference stretches the scores of the padded image over the image, up to a patch too far.
    """

    short: int = setting(512, help="short side of the image, px", minimum=16)
    long: int = setting(2048, help="limit of the long side, px", minimum=16)
    window: int = setting(0, help="side of the sliding window, px; 0: the whole image", minimum=0)
    stride: int = setting(341, help="px from one window to the next", minimum=1)
    scales: tuple[float, ...] = setting(
        (1.0,), help="sizes at which the image is seen, times the sides above", minimum=0.05
    )
    flip: bool = setting(False, help="see the mirrored image too")

    def check(self, backbone: Backbone) -> None:
        """Refuse a backbone of one image size, unless images are seen by windows of that size.

        Raises:
            MissingAbility: If it can't take what it would be shown.
        """
        info = backbone.info
        if info.fixed_size and (self.window, self.window) != info.image_size:
            raise errors.MissingAbility(
                f"{info.arch} takes images of {info.image_size[0]} x {info.image_size[1]} px only.",
                found="images of any size, shown whole or by other windows",
                hint=f"--inference.window {info.image_size[0]}, with a method that learns",
            )

    def classify(self, image: Pixels, segmenter: Segmenter) -> Indices:
        """Return the class of every pixel, shape (H, W)."""
        size: Size = (image.shape[0], image.shape[1])
        views = list(self._views(image, segmenter))
        if len(views) == 1:
            scores = _upsample(self._seen(views[0], segmenter), size)
        else:
            scores = torch.zeros(())
            for view in views:
                seen = _upsample(self._seen(view, segmenter), size)
                found = segmenter.probabilities(seen)
                scores = scores + (found.flip(-1) if view.flipped else found)
        classes: Indices = scores[0].argmax(dim=0).to(torch.int16).cpu().numpy()
        return classes

    def _views(self, image: Pixels, segmenter: Segmenter) -> Iterator["_View"]:
        for scale in self.scales:
            target = fitted(
                (image.shape[0], image.shape[1]), short=self.short * scale, long=self.long * scale
            )
            view = normalized(image, target, segmenter)
            yield _View(view, flipped=False)
            if self.flip:
                yield _View(view.flip(-1), flipped=True)

    def _seen(self, view: "_View", segmenter: Segmenter) -> Tensor:
        """Return scores of a view, of its size; where windows overlap, their mean."""
        size = view.image.shape[-2:]
        boxes = list(windows((size[0], size[1]), self.window, self.stride))
        if len(boxes) == 1:
            return _dense(view.image, segmenter)
        total = torch.zeros(())
        count = torch.zeros(size, device=view.image.device)
        for top, left, bottom, right in boxes:
            scores = _dense(view.image[..., top:bottom, left:right], segmenter)
            around = (left, size[1] - right, top, size[0] - bottom)
            total = total + functional.pad(scores, around)
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
    return segmenter.normalization(pixels.permute(2, 0, 1)[None].to(segmenter.device))


def padded(image: Tensor, patch_px: int) -> Tensor:
    """Return an image with zeros below and to the right, up to whole patches."""
    height, width = image.shape[-2:]
    return functional.pad(image, (0, -width % patch_px, 0, -height % patch_px))


def _dense(image: Tensor, segmenter: Segmenter) -> Tensor:
    """Return scores (1, C, H, W) of an image of any size."""
    whole = padded(image, segmenter.patch_px)
    scores = _upsample(segmenter.scores(whole), (whole.shape[-2], whole.shape[-1]))
    return scores[..., : image.shape[-2], : image.shape[-1]]


def _upsample(scores: Tensor, size: Size) -> Tensor:
    if tuple(scores.shape[-2:]) == size:
        return scores
    return functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)
