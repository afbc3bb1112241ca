"""PIL's Gaussian blur of a batch: three box blurs with soft ends, composed to one operator each.

Each box goes on with the border's value outside. So near the border the composed operator is no
convolution, and small matrices do that part.
"""

from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from vitbench.data.multicrop import Floats, Ints

PASSES = 3
Numbers = TypeVar("Numbers", Tensor, Floats)


def blur(crops: Tensor, radius: Tensor, *, reach: int) -> None:
    """Blur crops in place.

    Args:
        crops: Float (n, 3, S, S), whole numbers 0 to 255, and such afterwards.
        radius: Above 0, as PIL's GaussianBlur takes it, shape (n, 1, 1, 1).
        reach: Pixels to each side that a box touches, the same for all (`box_reach`).
    """
    size = crops.shape[-1]
    soft = box_radius(radius.flatten())
    border = PASSES * reach  # so many pixels at each end see beyond the border
    if size < 4 * border:
        whole = operator(soft, reach, size).to(crops)[:, None]  # (n, 1, S, S)
        made = whole @ crops @ whole.mT
    else:
        edge = operator(soft, reach, 4 * border)
        taps = edge[:, 2 * border, border : 2 * border + 1].flip(1).to(crops)  # center first
        weights = [tap.view(-1, 1, 1, 1) for tap in taps.unbind(1)]
        edge = edge[:, :border, : 2 * border].to(crops)[:, None]
        made = down(down(crops, weights, edge).mT, weights, edge).mT
    torch.floor(made.add_(0.5), out=crops)


def down(crops: Tensor, weights: list[Tensor], edge: Tensor) -> Tensor:
    """Apply the operator along the rows' axis: shifted sums inside, `edge` at both ends."""
    border, size = edge.shape[-2], crops.shape[2]
    made = torch.empty_like(crops)
    inside = made.narrow(2, border, size - 2 * border)
    torch.mul(crops.narrow(2, border, size - 2 * border), weights[0], out=inside)
    pair = torch.empty_like(inside)
    for shift, weight in enumerate(weights[1:], start=1):
        before, after = (
            crops.narrow(2, border + side, size - 2 * border) for side in (-shift, shift)
        )
        inside.addcmul_(torch.add(before, after, out=pair), weight)
    made[:, :, :border] = edge @ crops[:, :, : 2 * border]
    made[:, :, -border:] = edge.flip(2, 3) @ crops[:, :, -2 * border :]
    return made


def operator(soft: Tensor, reach: int, size: int) -> Tensor:
    """Give the three box blurs of an axis as one matrix for each crop, (n, size, size).

    Args:
        soft: Radius of the boxes, shape (n,); its whole part is reach - 1.
        reach: Pixels to each side that a box touches.
        size: Pixels of the axis.
    """
    offset = torch.arange(-reach, reach + 1, device=soft.device)
    weight = (soft[:, None] + 1 - offset.abs()).clamp(0, 1)  # 1, and the soft ends
    weight = weight / weight.sum(1, keepdim=True)
    pixel = torch.arange(size, device=soft.device)
    seen = (pixel[:, None] + offset).clamp(0, size - 1).expand(len(soft), -1, -1)
    box = weight.new_zeros(len(soft), size, size)
    box.scatter_add_(2, seen, weight[:, None].expand_as(seen))
    return box @ box @ box


def box_radius(radius: Numbers) -> Numbers:
    """Give the radius of the box whose three passes have the variance of a Gaussian.

    Source:
        Gwosdek et al., Theoretical Foundations of Gaussian Convolution by Extended Box Filtering,
        SSVM 2011. Reference: Pillow, libImaging/BoxBlur.c, _gaussian_blur_radius.
    """
    variance = radius * radius / PASSES
    whole = ((12 * variance + 1) ** 0.5 - 1) / 2 // 1
    part = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance)
    return whole + part / (6 * (variance - (whole + 1) ** 2))


def box_reach(radius: Floats) -> Ints:
    """Give the pixels to each side that one box touches; 0 where nothing is blurred."""
    return np.where(radius > 0, box_radius(radius).astype(np.int64) + 1, 0)
