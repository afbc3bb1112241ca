"""Training crops: random scale, place, mirror and colors, drawn by the place in the stream."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.kit import (
    Pixels,
    fitted,
    keyed_uniform,
    resize_image,
    resize_indices,
)
from vitbench_protocols.segmentation.classes import NONE, Indices

Draws = NDArray[np.float64]  # numbers from [0, 1)

BRIGHTNESS, HUE = 32.0, 18  # gray levels; halves of degrees
CONTRAST = SATURATION = (0.5, 1.5)
TRIES = 10  # places that are tried, to see more than one class


@dataclass(frozen=True, slots=True, kw_only=True)
class CropRules:
    """How a training crop is made of an image.

    Source:
        mmsegmentation 0.x pipelines Resize, RandomCrop, RandomFlip, PhotoMetricDistortion, Pad.
    """

    size: int  # px, both sides
    short: int  # px of the image before the random scale
    long: int
    scales: tuple[float, float]
    class_share: float  # no class may fill more of a crop, if some place allows it
    fill: tuple[int, int, int]  # color where the image ends

    def make(self, image: Pixels, truth: Indices, *, seed: int, position: int) -> "Crop":
        """Make the crop for a position of the stream."""
        draws = keyed_uniform(seed, "segmentation crop", position, count=40)
        low, high = self.scales
        ratio = low + (high - low) * draws[0]
        target = fitted(truth.shape, short=int(self.short * ratio), long=int(self.long * ratio))
        image, truth = resize_image(image, target), resize_indices(truth, target)
        top, left = self._place(truth, draws[1 : 1 + 2 * TRIES].reshape(TRIES, 2))
        box = (slice(top, top + self.size), slice(left, left + self.size))
        image, truth = image[box], truth[box]
        if draws[21] < 0.5:
            image, truth = image[:, ::-1], truth[:, ::-1]
        return self._padded(distort(np.ascontiguousarray(image), draws[22:31]), truth)

    def _place(self, truth: Indices, draws: Draws) -> tuple[int, int]:
        """Return top and left of the first place where no class fills too much, or of the last."""
        room = np.maximum(np.array(truth.shape) - self.size, 0) + 1
        for top, left in (draws * room).astype(np.int64):
            part = truth[top : top + self.size, left : left + self.size]
            counts = np.bincount(part[part != NONE])
            if np.count_nonzero(counts) > 1 and counts.max() < self.class_share * counts.sum():
                break
        return int(top), int(left)

    def _padded(self, image: Pixels, truth: Indices) -> "Crop":
        height, width = truth.shape
        pixels = np.empty((self.size, self.size, 3), np.uint8)
        pixels[:] = self.fill
        pixels[:height, :width] = image
        classes = np.full((self.size, self.size), NONE, np.int16)
        classes[:height, :width] = truth
        return Crop(pixels, classes)


@dataclass(frozen=True, slots=True)
class Crop:
    """A training sample."""

    image: Pixels  # (S, S, 3)
    truth: Indices  # (S, S)


def distort(image: Pixels, draws: Draws) -> Pixels:
    """Change brightness, contrast, saturation and hue, each with a chance of one half.

    Contrast comes before or after the changes of color, with equal chances. Nine draws: a chance
    and an amount of each, and which comes first.

    Source:
        mmsegmentation 0.x, PhotoMetricDistortion, with its defaults.
    """
    brightness, contrast, saturation, hue = draws[:8].reshape(4, 2)
    first = draws[8] < 0.5
    if brightness[0] < 0.5:
        image = _linear(image, 1.0, BRIGHTNESS * (2 * brightness[1] - 1))
    if first and contrast[0] < 0.5:
        image = _linear(image, _between(CONTRAST, contrast[1]), 0.0)
    image = _recolored(image, saturation, hue)
    if not first and contrast[0] < 0.5:
        image = _linear(image, _between(CONTRAST, contrast[1]), 0.0)
    return image


def _recolored(image: Pixels, saturation: Draws, hue: Draws) -> Pixels:
    import cv2

    saturates, turns = saturation[0] < 0.5, hue[0] < 0.5
    if not saturates and not turns:
        return image
    colors: Any = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)  # hue 0 to 179
    if saturates:
        colors[..., 1] = _linear(colors[..., 1], _between(SATURATION, saturation[1]), 0.0)
    if turns:
        turn = int(np.floor(2 * HUE * hue[1])) - HUE
        colors[..., 0] = (colors[..., 0].astype(np.int16) + turn) % 180
    changed: Any = cv2.cvtColor(colors, cv2.COLOR_HSV2RGB)
    return changed  # type: ignore[no-any-return]


def _linear(values: Pixels, factor: float, offset: float) -> Pixels:
    changed = values.astype(np.float32) * np.float32(factor) + np.float32(offset)
    clipped: NDArray[np.float32] = np.clip(changed, 0, 255)
    return clipped.astype(np.uint8)


def _between(limits: tuple[float, float], drawn: float) -> float:
    low, high = limits
    return low + (high - low) * float(drawn)
