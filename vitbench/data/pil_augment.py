"""The reference augmentation: the drawn parameters applied to one image with PIL on the CPU."""

import torch
from PIL import Image, ImageFilter, ImageOps
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as ops

from vitbench.data.multicrop import CropDraws, MultiCrop
from vitbench.data.sizes import Pixels

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
SOLARIZE_FROM = 128
ADJUST = (ops.adjust_brightness, ops.adjust_contrast, ops.adjust_saturation, ops.adjust_hue)


def augment_with_pil(images: list[Pixels], crops: MultiCrop, draws: CropDraws) -> list[Tensor]:
    """Crop and augment a batch, one PIL image after the other.

    Args:
        images: B decoded images, each uint8 of shape (H, W, 3).
        crops: Their settings.
        draws: Their parameters.

    Returns:
        One normalized float32 tensor (B, 3, S, S) for each crop, global crops first.
    """
    opened = [Image.fromarray(image) for image in images]
    return [
        torch.stack([pil_crop(image, crops, draws, row, view) for row, image in enumerate(opened)])
        for view in range(len(crops.sizes))
    ]


def pil_crop(image: Image.Image, crops: MultiCrop, draws: CropDraws, row: int, view: int) -> Tensor:
    """Make one crop of one image, as DINO's transforms do; shape (3, S, S), float32."""
    at, side = (row, view), crops.sizes[view]
    crop = ops.resized_crop(
        image, *draws.box[at].tolist(), [side, side], InterpolationMode(crops.interpolation)
    )
    if draws.flip[at]:
        crop = ops.hflip(crop)
    if draws.jitter[at]:
        for which in draws.order[at]:
            crop = ADJUST[which](crop, float(draws.factors[at][which]))
    if draws.gray[at]:
        crop = ops.to_grayscale(crop, num_output_channels=3)
    if draws.blur_radius[at] > 0:
        crop = crop.filter(ImageFilter.GaussianBlur(radius=float(draws.blur_radius[at])))
    if draws.solarize[at]:
        crop = ImageOps.solarize(crop, threshold=SOLARIZE_FROM)
    made: Tensor = ops.normalize(ops.to_tensor(crop), MEAN, STD)
    return made
