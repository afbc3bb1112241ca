from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as ops

from vitbench.data.crop_resize import Filter, crop_each
from vitbench.data.sizes import Pixels

BOXES = np.array([
    [0, 0, 90, 120],   # all of it
    [10, 20, 50, 40],
    [40, 70, 50, 50],  # a corner
    [3, 5, 11, 9],     # enlarged
    [89, 119, 1, 1],   # one pixel
])  # fmt: skip
FLIPS = np.array([False, True, True, False, True])
FILTERS: tuple[Filter, ...] = ("bicubic", "bilinear")


@pytest.fixture
def image(photo: Callable[[int, int, int], Pixels]) -> Pixels:
    return photo(90, 120, 0)


def with_pil(image: Pixels, size: int, kind: Filter) -> np.ndarray:
    made = []
    for box, flip in zip(BOXES.tolist(), FLIPS, strict=True):
        crop = ops.resized_crop(Image.fromarray(image), *box, [size, size], InterpolationMode(kind))
        made.append(np.array(ops.hflip(crop) if flip else crop))
    return np.stack(made).transpose(0, 3, 1, 2).astype(np.float64)


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("size", [16, 48])
def test_crops_one_by_one_are_pils(image: Pixels, size: int, kind: Filter) -> None:
    ours = torch.empty(len(BOXES), 3, size, size)
    crop_each([image] * len(BOXES), BOXES, FLIPS, ours, kind=kind)
    difference = np.abs(ours.numpy() - with_pil(image, size, kind))
    assert difference.mean() < 0.1  # of the 2 gray levels allowed
