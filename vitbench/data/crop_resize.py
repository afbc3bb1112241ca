"""Crop, resize and mirror image by image, antialiased as PIL does it; and its filter."""

from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own short name for it)
from torch import Tensor

from vitbench.data.multicrop import Bools, Ints
from vitbench.data.sizes import Pixels, Size

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
    size = out.shape[-2], out.shape[-1]
    for image, (top, left, height, width), mirror, crop in zip(
        images, box.tolist(), flip.tolist(), out, strict=True
    ):
        small = resized(image[top : top + height, left : left + width], size, kind)
        crop.copy_(small.flip(-1) if mirror else small)


def resized(image: Pixels, size: Size, kind: Filter) -> Tensor:
    """Resize an image by torch's integer kernel, on the thread that calls; see `ImageView`.

    Returns:
        uint8 (3, H, W).
    """
    whole = torch.from_numpy(image).permute(2, 0, 1)
    if whole.shape[1:] == size:
        return whole
    found: Tensor = F.interpolate(whole[None], size=size, mode=kind, antialias=True)[0]
    return found


def kernel(distance: Tensor, kind: Filter) -> Tensor:
    """Evaluate the resize filter at distances in pixels of the coarser grid."""
    x = distance.abs()
    if kind == "bilinear":
        return (1 - x).clamp(min=0)
    near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
    far = CUBIC * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
