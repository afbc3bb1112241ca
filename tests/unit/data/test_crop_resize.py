from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as ops

from vitbench.data.crop_resize import Filter, crop_each, crop_packed, resize_matrix
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


@pytest.mark.parametrize("kind", FILTERS)
@pytest.mark.parametrize("size", [16, 48])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 0.5), (torch.float16, 0.6)])
def test_crops_by_matrix_products_are_pils(
    image: Pixels, size: int, kind: Filter, dtype: torch.dtype, most: float
) -> None:
    padded = torch.full((1, 3, 128, 192), 99, dtype=dtype)  # no crop may see the padding
    padded[0, :, :90, :120] = torch.from_numpy(image).permute(2, 0, 1)
    ours = crop_packed(
        padded, torch.from_numpy(BOXES)[None], torch.from_numpy(FLIPS)[None], size, kind=kind
    )[0]
    assert ours.dtype == dtype
    difference = np.abs(ours.float().numpy() - with_pil(image, size, kind))
    assert difference.mean() < most  # of the 2 gray levels allowed


def test_the_weights_of_each_sample_sum_to_one_within_the_interval() -> None:
    start, length = torch.tensor([5.0, 0.0]), torch.tensor([20.0, 3.0])
    weights = resize_matrix(start, length, torch.tensor([False, True]), 7, 32, "bicubic")
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 7))
    assert weights[0, :, :5].count_nonzero() == weights[0, :, 25:].count_nonzero() == 0
    assert weights[1, :, 3:].count_nonzero() == 0


def test_a_mirrored_interval_has_the_samples_backwards() -> None:
    start, length = torch.tensor([5.0, 5.0]), torch.tensor([20.0, 20.0])
    there, back = resize_matrix(start, length, torch.tensor([False, True]), 7, 32, "bicubic")
    torch.testing.assert_close(back, there.flip(0))
