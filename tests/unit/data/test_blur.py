from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from vitbench.data.batched_augment import blur_some
from vitbench.data.blur import box_radius, box_reach, operator
from vitbench.data.sizes import Pixels


@pytest.mark.parametrize("size", [16, 64])  # 16: too small for sums of shifted copies
@pytest.mark.parametrize("radius", [0.1, 0.5, 1.0, 1.41, 1.42, 2.0, 5.0])
def test_the_blur_is_pils(
    photo: Callable[[int, int, int], Pixels], radius: float, size: int
) -> None:
    images = [photo(size, size, seed) for seed in range(4)]
    theirs = [
        np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))
        for image in images
    ]
    ours = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    radii = np.full(len(images), radius)
    blur_some(ours, radii)
    assert torch.equal(ours, ours.round())
    difference = ours.permute(0, 2, 3, 1).numpy() - np.stack(theirs)
    assert np.abs(difference).mean() < 0.6  # of the 2 gray levels allowed
    assert np.abs(difference).max() <= 3  # PIL rounds six times on the way


def test_a_flat_crop_stays_as_it_is() -> None:
    crops = torch.full((2, 3, 16, 16), 77.0)
    blur_some(crops, np.array([0.3, 1.2]))
    assert torch.equal(crops, torch.full_like(crops, 77.0))


def test_the_operator_keeps_the_sum_of_each_pixels_weights() -> None:
    sums = operator(torch.tensor([0.1, 0.7, 0.9]), 1, 20).sum(2)
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_the_composed_boxes_have_the_variance_of_the_gaussian() -> None:
    radius = torch.tensor([0.4, 1.0, 1.4], dtype=torch.float64)
    row = operator(box_radius(radius), 1, 41)[:, 20]
    distance = torch.arange(-20.0, 21.0, dtype=torch.float64)
    torch.testing.assert_close((row * distance**2).sum(1), radius**2)


def test_no_radius_needs_no_pixels() -> None:
    np.testing.assert_array_equal(box_reach(np.array([0.0, 0.1, 1.41, 1.42])), [0, 1, 1, 2])
