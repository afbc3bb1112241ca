"""Evaluation views: from an image on disk to the pixels that a backbone gets."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from PIL import Image

from vitbench.data.pil_order import pil_order
from vitbench.data.sizes import Pixels, Size
from vitbench.settings import as_dict

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Interpolation = Literal["bicubic", "bilinear"]
Resampling = Literal["exact", "fast"]  # by PIL, or by torch's integer kernel: see `ImageView`

FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True, slots=True)
class Normalization:
    """Per-channel mean and standard deviation of the input, in units of 0 to 1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: "Tensor") -> "Tensor":
        """Turn pixels 0 to 255, uint8 (B, 3, H, W), into what the backbone was trained on."""
        mean, std = (_on(values, images.device) for values in (self.mean, self.std))
        return images.float().div_(255).sub_(mean).div_(std)


@lru_cache(maxsize=32)  # kept: a copy for each batch would wait for the device
def _on(values: tuple[float, float, float], device: "torch.device") -> "Tensor":
    """Return a value for each channel on a device, (1, 3, 1, 1)."""
    import torch

    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device).view(1, 3, 1, 1)


AS_IT_IS = Normalization((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # no backbone, no input


@dataclass(frozen=True, slots=True)
class ImageView:
    """Resize the short side, then crop the center: the view of k-NN and linear evaluation.

    Fast resampling takes a quarter of the time. It resizes widths, then heights, and its values are
    those of PIL's two passes in that order but for 1 level of 255 (in noise 2, once in 100,000).
    PIL from version 13 on shrinks the height of tall images first, which moves theirs by more.

    Source:
        facebookresearch/dino, eval_knn.py and eval_linear.py (7c446df): 256, 224, bicubic.
    """

    resize: int = 256  # px of the short side
    crop: int = 224  # px
    interpolation: Interpolation = "bicubic"
    resampling: Resampling = "exact"

    def __call__(self, image: Image.Image) -> "Tensor":
        """Return the view's pixels, uint8 (3, crop, crop)."""
        if self.resampling == "fast":
            return self.of_pixels(np.array(image))
        height, width = _short_side((image.height, image.width), self.resize)
        if image.size != (width, height):
            image = image.resize((width, height), FILTERS[self.interpolation])
        return to_pixels(_center(image, self.crop))

    def of_pixels(self, pixels: Pixels) -> "Tensor":
        """Return the view of an image that was decoded, (H, W, 3), without PIL's copy if fast."""
        if self.resampling == "exact":
            return self(Image.fromarray(pixels))
        from vitbench.data.crop_resize import resized

        small = resized(pixels, _short_side(pixels.shape[:2], self.resize), self.interpolation)
        return _center_of_pixels(small, self.crop)

    def identity(self) -> dict[str, Any]:
        """Return what its pixels depend on; that they are exact goes without saying."""
        found = as_dict(self)
        if self.resampling == "exact":
            del found["resampling"]
            found |= pil_order()
        return found


def _short_side(size: Size, short: int) -> Size:
    """Return the size whose short side has some pixels, the long one in proportion, rounded down.

    Source:
        torchvision, transforms/functional.py, resize of a PIL image.
    """
    height, width = size
    if min(size) == short:
        return size
    long = int(short * max(size) / min(size))
    return (long, short) if width <= height else (short, long)


def _center(image: Image.Image, side: int) -> Image.Image:
    """Cut the central square out of an image; what is missing of it is black.

    Source:
        torchvision, transforms/functional.py, center_crop.
    """
    width, height = (max(side, own) for own in image.size)
    if (width, height) != image.size:
        padded = Image.new(image.mode, (width, height))
        padded.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        image = padded
    left, top = round((width - side) / 2.0), round((height - side) / 2.0)
    return image.crop((left, top, left + side, top + side))


def _center_of_pixels(image: "Tensor", side: int) -> "Tensor":
    """Cut the central square out of pixels (3, H, W), as `_center` does."""
    import torch

    pads = []
    for own in (image.shape[2], image.shape[1]):  # a negative pad cuts
        before = (side - own) // 2 if own < side else -round((own - side) / 2.0)
        pads += [before, side - own - before]
    return torch.constant_pad_nd(image, pads)


def to_pixels(image: Image.Image) -> "Tensor":
    """Return the pixels of an RGB image, uint8 (3, H, W)."""
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def cut_note(crop: int, stride: int) -> str:
    """Tell which part of a square crop a backbone sees, or nothing if that is all of it.

    Args:
        crop: Side of the crop, pixels.
        stride: Pixels per token of the first stage; what exceeds a multiple is left out.

    Example:
        >>> cut_note(100, 16)
        'the crop of 100 px is cut to 96 px, a multiple of the patch of 16 px'
    """
    seen = crop // stride * stride
    if seen == crop:
        return ""
    return f"the crop of {crop} px is cut to {seen} px, a multiple of the patch of {stride} px"
