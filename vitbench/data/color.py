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
CENTRES = (0.0, 2.0, -2.0)  # sectors from red to the middle of red, green and blue


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
    for turn in order.T:
        for number, adjust in enumerate((brightness, contrast, saturation, hue)):
            change(crops, apply & (turn == number), adjust, factors[:, number])


def brightness(crops: Tensor, factor: Tensor) -> None:
    """Multiply; factors have shape (n, 1, 1, 1) here and below."""
    crops.mul_(factor).clamp_(max=255).floor_()


def contrast(crops: Tensor, factor: Tensor) -> None:
    """Move away from the mean grey of the crop."""
    level = luma(crops.mean(dim=(2, 3), keepdim=True)).add_(0.5).floor_()
    crops.mul_(factor).add_(level.mul_(1 - factor)).clamp_(0, 255).floor_()


def saturation(crops: Tensor, factor: Tensor) -> None:
    """Move away from each pixel's grey."""
    grey = luma(crops).mul_(1 - factor)
    torch.addcmul(grey, crops, factor, out=crops).clamp_(0, 255).floor_()


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
    high, low = crops.amax(dim=1, keepdim=True), crops.amin(dim=1, keepdim=True)
    chroma = high - low
    angle = (green + blue).sub_(red).add_(high).sub_(low, alpha=2).div_(chroma.clamp(min=1e-3))
    angle.copysign_(green - blue).add_(turn)  # sectors, red at 0
    angle.sub_(torch.round(angle / SECTORS), alpha=SECTORS)  # -3 to 3
    part = angle - crops.new_tensor(CENTRES).view(3, 1, 1)  # (n, 3, S, S)
    part.abs_().sub_(3).abs_().clamp_(1, 2)  # 1 and the color's share of the chroma
    base = low.mul_(2).sub_(high).add_(0.5)
    torch.addcmul(base, part, chroma, out=crops).floor_()


def to_grey(crops: Tensor) -> None:
    """Replace the colors by their grey."""
    crops.copy_(luma(crops).add_(0.5).floor_())


def solarize(crops: Tensor) -> None:
    """Invert the values from 128 on, which makes them the smaller ones."""
    torch.minimum(crops, 255 - crops, out=crops)


def luma(crops: Tensor) -> Tensor:
    """Weigh the colors to PIL's grey, not rounded; shape (n, 1, S, S)."""
    grey = crops[:, :1] * LUMA[0]
    return grey.add_(crops[:, 1:2], alpha=LUMA[1]).add_(crops[:, 2:], alpha=LUMA[2])


def change(crops: Tensor, apply: Bools, edit: Callable[..., None], *values: Floats) -> None:
    """Let an in-place function change some crops; where they lie together, without a copy.

    Args:
        crops: Shape (n, 3, S, S).
        apply: Which to change, shape (n,).
        edit: Takes those crops and, for each of the values, a tensor (m, 1, 1, 1).
        values: Parameters, one for each crop.
    """
    rows = np.flatnonzero(apply)
    if not len(rows):
        return
    sent = [
        torch.from_numpy(value[rows, None, None, None]).to(crops, non_blocking=True)
        for value in values
    ]
    runs = np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) > 1) + 1)
    if crops.is_cuda and len(runs) > 1:  # few kernels count there; copies are cheap
        at = torch.from_numpy(rows).to(crops.device, non_blocking=True)
        part = crops[at]
        edit(part, *sent)
        crops[at] = part
        return
    for run in runs:
        first, past = rows[run[0]], rows[run[-1]] + 1
        edit(crops[first:past], *(value[run[0] : run[-1] + 1] for value in sent))
