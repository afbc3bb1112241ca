"""Color changes of a batch in place, each crop with its own parameters, PIL's rounding kept.

Every function takes crops (n, 3, S, S), float, whole numbers 0 to 255, and leaves such numbers.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vitbench.data.multicrop import Bools, Floats, Ints

LUMA = (0.299, 0.587, 0.114)
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # the numbers of CropDraws.order
HUE_STEPS = 255  # PIL keeps a hue in one byte
SECTORS = 6
CENTERS = (0.0, 2.0, -2.0)  # sectors from red to the middle of red, green and blue


def jitter(crops: Tensor, apply: Bools, order: Ints, factors: Floats) -> None:
    """Change brightness, contrast, saturation and hue in each crop's own order.

    Args:
        crops: Changed in place.
        apply: Which to change, shape (n,).
        order: For each crop the four changes by number, shape (n, 4).
        factors: Strength of each change by number, shape (n, 4).

    Source:
        torchvision, transforms/functional.py: ColorJitter's adjust functions on PIL images.
    """
    adjustments = (brightness, contrast, saturation, hue)
    strengths = per_crop(factors, crops)
    for turn in np.where(apply[:, None], order, len(adjustments)).T:
        for number, adjust in enumerate(adjustments):
            change(crops, turn == number, adjust, strengths[number])


def brightness(crops: Tensor, factor: Tensor) -> None:
    """Multiply; factors have shape (n, 1, 1, 1) here and below."""
    crops.mul_(factor).clamp_(max=255).floor_()


def contrast(crops: Tensor, factor: Tensor) -> None:
    """Move away from the mean gray of the crop."""
    level = luma(crops.mean(dim=(2, 3), keepdim=True)).add_(0.5).floor_()
    crops.mul_(factor).add_(level.mul_(1 - factor)).clamp_(0, 255).floor_()


def saturation(crops: Tensor, factor: Tensor) -> None:
    """Move away from each pixel's gray."""
    gray = luma(crops).mul_(1 - factor)
    torch.addcmul(gray, crops, factor, out=crops).clamp_(0, 255).floor_()


def hue(crops: Tensor, share: Tensor) -> None:
    """Turn the hue by a share of the circle.

    A hue's distance from red is (max - 2 min + green + blue - red) / chroma sectors, towards
    green or blue; no case for each sector is needed.

    Differs:
        PIL rounds hue and saturation to a byte; here only the turn is, so that it is on average
        the same.
    """
    # PIL cuts the hue off, half a step on average, and the turn towards 0
    turn = (share * HUE_STEPS).trunc_().sub_(0.5).mul_(SECTORS / HUE_STEPS)
    red, green, blue = crops[:, :1], crops[:, 1:2], crops[:, 2:]
    side = green - blue
    high, low = crops.amax(dim=1, keepdim=True), crops.amin(dim=1, keepdim=True)
    chroma = high - low
    base = low.mul_(2).sub_(high)
    angle = (green + blue).sub_(red).sub_(base).div_(chroma.clamp(min=1e-3))
    angle.copysign_(side).add_(turn)  # sectors, red at 0
    angle.sub_(torch.mul(angle, 1 / SECTORS, out=side).round_(), alpha=SECTORS)  # -3 to 3
    for channel, center in zip(torch.split(crops, 1, dim=1), CENTERS, strict=True):
        torch.sub(angle, center, out=channel)
    crops.abs_().sub_(3).abs_().clamp_(1, 2)  # 1 and the color's share of the chroma
    torch.addcmul(base.add_(0.5), crops, chroma, out=crops).floor_()


def to_gray(crops: Tensor) -> None:
    """Replace the colors by their gray."""
    crops.copy_(luma(crops).add_(0.5).floor_())


def solarize(crops: Tensor) -> None:
    """Invert the values from 128 on, which makes them the smaller ones."""
    torch.minimum(crops, 255 - crops, out=crops)


def luma(crops: Tensor) -> Tensor:
    """Weigh the colors to PIL's gray, not rounded; shape (n, 1, S, S)."""
    gray = crops[:, :1] * LUMA[0]
    return gray.add_(crops[:, 1:2], alpha=LUMA[1]).add_(crops[:, 2:], alpha=LUMA[2])


def change(crops: Tensor, apply: Bools, edit: Callable[..., None], *values: Tensor) -> None:
    """Let an in-place function change some crops, those that lie together at once.

    Args:
        crops: Shape (n, 3, S, S).
        apply: Which to change, shape (n,).
        edit: Takes those crops and their part of each of the values.
        values: Parameters of all crops, each (n, 1, 1, 1) on their device.
    """
    rows = np.flatnonzero(apply)
    if not len(rows):
        return
    gaps = np.flatnonzero(np.diff(rows) > 1) + 1
    for run in np.split(rows, gaps):
        here = slice(run[0], run[-1] + 1)
        edit(crops[here], *(value[here] for value in values))


def per_crop(values: Floats, crops: Tensor) -> Tensor:
    """Return numbers for each crop, (n, …), as (…, n, 1, 1, 1)."""
    return torch.from_numpy(values).to(crops).movedim(0, -1)[..., None, None, None]
