"""Crop, resize and mirror a batch: antialiased as PIL does it, each crop with its own box."""

from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  (torch's own short name for it)
from torch import Tensor

from vitbench.data.multicrop import Bools, Ints
from vitbench.data.sizes import Pixels

Filter = Literal["bicubic", "bilinear"]
SUPPORT = {"bicubic": 2.0, "bilinear": 1.0}  # half width of the filter, pixels of the coarser grid
CUBIC = -0.5  # PIL's and the antialiased torch filter's; without antialiasing torch has -0.75


def crop_each(images: list[Pixels], box: Ints, flip: Bools, out: Tensor, *, kind: Filter) -> None:
    """Write crops one after the other: on a CPU, torch's integer kernel does the least work.

    Args:
        images: One image for each crop, uint8 (H, W, 3); the same may come again.
        box: Top, left, height and width of each crop, shape (n, 4).
        flip: Which to mirror, shape (n,).
        kind: The filter of the resize.
        out: Float tensor (n, 3, S, S) that takes whole numbers 0 to 255.
    """
    size = out.shape[-2:]
    for image, (top, left, height, width), mirror, crop in zip(
        images, box.tolist(), flip.tolist(), out, strict=True
    ):
        part = torch.from_numpy(image[top : top + height, left : left + width])
        small = F.interpolate(part.permute(2, 0, 1)[None], size=size, mode=kind, antialias=True)[0]
        crop.copy_(small.flip(-1) if mirror else small)


def crop_packed(images: Tensor, box: Tensor, flip: Tensor, size: int, *, kind: Filter) -> Tensor:
    """Make V crops of each packed image by two batched matrix products: for a GPU.

    Args:
        images: Images of one padded size, (B, 3, H, W), values 0 to 255; the products are
            of their type, and float16 holds such values within 1/16.
        box: Top, left, height and width of each crop in pixels, shape (B, V, 4).
        flip: Which to mirror, shape (B, V).
        size: Side S of the crops.
        kind: The filter of the resize.

    Returns:
        Crops (B, V, 3, S, S) of the same type, within 0 to 255 but not rounded.
    """
    B, V = flip.shape
    H, W = images.shape[-2:]
    top, left, height, width = box.to(torch.float32).unbind(-1)  # (B, V)
    down = resize_matrix(top, height, torch.zeros_like(flip), size, H, kind).to(images)
    across = resize_matrix(left, width, flip, size, W, kind).to(images)  # (B, V, S, W)
    rows = images.reshape(B, 3 * H, W) @ across.reshape(B, V * size, W).mT  # (B, 3*H, V*S)
    rows = rows.reshape(B, 3, H, V, size).permute(0, 3, 1, 2, 4)  # (B, V, 3, H, S)
    return (down[:, :, None] @ rows).clamp_(0, 255)


def resize_matrix(
    start: Tensor, length: Tensor, flip: Tensor, size: int, extent: int, kind: Filter
) -> Tensor:
    """Give the weights that resize an interval of an axis to `size` samples.

    Args:
        start: First pixel of each interval, float, any shape.
        length: Pixels of each interval, same shape.
        flip: Whether its samples run backwards, bool, same shape.
        size: Samples S of the result.
        extent: Pixels L of the axis.
        kind: The filter.

    Returns:
        Weights (..., S, L); each row sums to 1 over the pixels of its interval.

    Source:
        Pillow, libImaging/Resample.c, precompute_coeffs: the filter is widened by the scale when
        it shrinks, and cut off at the interval's ends.
    """
    scale = length / size
    wide = scale.clamp(min=1.0)
    reach = SUPPORT[kind] * wide
    taps = min(extent, 2 * int(np.ceil(SUPPORT[kind] * max(1.0, extent / size))) + 1)
    sample = torch.arange(size, device=start.device)
    sample = torch.where(flip[..., None], size - 1 - sample, sample)
    center = (sample + 0.5) * scale[..., None]  # (..., S) from the interval's start
    first = (center - reach[..., None] + 0.5).floor().clamp(min=0)
    pixel = first[..., None] + torch.arange(taps, device=start.device)  # (..., S, taps)
    weight = kernel((pixel + 0.5 - center[..., None]) / wide[..., None, None], kind)
    weight = weight * (pixel < length[..., None, None])
    weight = weight / weight.sum(-1, keepdim=True)
    position = (pixel + start[..., None, None]).clamp(max=extent - 1).long()
    return weight.new_zeros(*position.shape[:-1], extent).scatter_add_(-1, position, weight)


def kernel(distance: Tensor, kind: Filter) -> Tensor:
    """Evaluate the resize filter at distances in pixels of the coarser grid."""
    x = distance.abs()
    if kind == "bilinear":
        return (1 - x).clamp(min=0)
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = CUBIC * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
