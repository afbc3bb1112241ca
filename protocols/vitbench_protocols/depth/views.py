"""The central square of an image with its depth, and its random changes in training."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitbench.api import Sample
from vitbench.kit import keyed_uniform, resize_indices, to_pixels

Meters = NDArray[np.float32]
View = tuple[Tensor, Tensor]  # pixels, uint8 (3, S, S), and depth in meters (S, S)

JITTER, CHANCE = 0.2, 0.8  # strongest change of brightness, contrast, saturation and hue; of any
AREA, CUT = (0.5, 1.0), 0.5  # share of the square that is kept; chance that any is cut off
DRAWS = 9


def central_view(sample: Sample[Meters], size: int, max_depth: float) -> View:
    """Return the central square of an image whose short side is resized to `size` px."""
    image, depth = sample.image, np.where(sample.target > max_depth, 0, sample.target)
    short = min(image.size)
    if short != size:
        width, height = (round(side * size / short) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BILINEAR)
        depth = resize_indices(depth, (height, width))
    left, top = (image.width - size) // 2, (image.height - size) // 2
    square = image.crop((left, top, left + size, top + size))
    part = depth[top : top + size, left : left + size]
    return to_pixels(square), torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32))


def changed(view: View, seed: int, position: int) -> View:
    """Change colors in 4 of 5 cases, and take a smaller square in half of them.

    Source:
        mbanani/probe3d, evals/datasets/utils.py, get_nyu_transforms (a1f1464).
    """
    from torchvision.transforms import functional

    pixels, depth = view
    draws = keyed_uniform(seed, "depth view", position, count=DRAWS).tolist()
    changes = (
        functional.adjust_brightness,
        functional.adjust_contrast,
        functional.adjust_saturation,
        functional.adjust_hue,
    )
    if draws[0] < CHANCE:
        for change, draw in zip(changes, draws[1:5], strict=True):
            amount = JITTER * (2 * draw - 1)
            hue = change is functional.adjust_hue
            pixels = change(pixels, amount if hue else 1 + amount)
    if draws[5] < CUT:
        size = len(depth)
        side = max(1, round(size * (AREA[0] + (AREA[1] - AREA[0]) * draws[6]) ** 0.5))
        top, left = (int(draw * (size - side + 1)) for draw in draws[7:9])
        places = torch.arange(size) * side // size
        rows, columns = (top + places)[:, None], (left + places)[None]
        pixels, depth = pixels[:, rows, columns], depth[rows, columns]
    return pixels, depth
