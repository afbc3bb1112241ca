"""Evaluation views: from an image on disk to the pixels that a backbone gets."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as pil


@dataclass(frozen=True, slots=True)
class Normalization:
    """Per-channel mean and standard deviation of the input, in units of 0 to 1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, images: Tensor) -> Tensor:
        """Turn pixels 0 to 255, uint8 (B, 3, H, W), into what the backbone was trained on."""
        mean, std = (
            torch.tensor(values, device=images.device).view(1, 3, 1, 1)
            for values in (self.mean, self.std)
        )
        return images.float().div_(255).sub_(mean).div_(std)


@dataclass(frozen=True, slots=True)
class ImageView:
    """Resize the short side, then crop the centre: the view of k-NN and linear evaluation.

    Source:
        facebookresearch/dino, eval_knn.py and eval_linear.py (7c446df): 256, 224, bicubic.
    """

    resize: int = 256  # px of the short side
    crop: int = 224  # px
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"

    def __call__(self, image: Image.Image) -> Tensor:
        """Return the view's pixels, uint8 (3, crop, crop)."""
        resized = pil.resize(image, self.resize, InterpolationMode(self.interpolation))
        return to_pixels(pil.center_crop(resized, [self.crop, self.crop]))


def to_pixels(image: Image.Image) -> Tensor:
    """Return the pixels of an RGB image, uint8 (3, H, W)."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()


def cut_note(crop: int, stride: int) -> str:
    """Say which part of a square crop a backbone sees, or nothing if that is all of it.

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
