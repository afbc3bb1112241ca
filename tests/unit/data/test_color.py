from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms import functional as ops

from vitbench.data import color
from vitbench.data.sizes import Pixels

ADJUST = (ops.adjust_brightness, ops.adjust_contrast, ops.adjust_saturation, ops.adjust_hue)
RANGES = ((0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1))
MOST = 1.0  # gray levels of mean absolute difference, what issue and paper allow: 1/255


@pytest.fixture
def crops(photo: Callable[[int, int, int], Pixels]) -> Tensor:
    images = np.stack([photo(40, 40, seed) for seed in range(24)])
    images[0], images[1], images[2] = 0, 255, (255, 0, 0)
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


def pil(crop: Tensor) -> Image.Image:
    return Image.fromarray(crop.permute(1, 2, 0).to(torch.uint8).numpy())


def pixels(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()


def gap(ours: Tensor, theirs: list[Image.Image]) -> float:
    assert torch.equal(ours, ours.round())
    assert ours.min() >= 0
    assert ours.max() <= 255
    difference = ours - torch.stack([pixels(image) for image in theirs])
    return difference.abs().mean().item()


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_each_adjustment_is_torchvisions(crops: Tensor, number: int, share: float) -> None:
    low, high = RANGES[number]
    factor = low + share * (high - low)
    theirs = [ADJUST[number](pil(crop), factor) for crop in crops]
    edit = (color.brightness, color.contrast, color.saturation, color.hue)[number]
    edit(crops, torch.full((len(crops), 1, 1, 1), factor))
    assert gap(crops, theirs) < (0.35 if number == color.HUE else 0.1)


@pytest.mark.parametrize("share", [-0.5, -0.37, 0.29, 0.5])
def test_a_large_turn_of_the_hue_is_torchvisions(crops: Tensor, share: float) -> None:
    theirs = [ops.adjust_hue(pil(crop), share) for crop in crops]
    color.hue(crops, torch.full((len(crops), 1, 1, 1), share))
    assert gap(crops, theirs) < 0.45


@pytest.mark.parametrize("share", [-0.1, 0.0, 0.1])
def test_the_full_color_wheel_turns_as_far_as_torchvisions(share: float) -> None:
    up, none, full = np.arange(256), np.zeros(256, int), np.full(256, 255)
    sectors = (
        (full, up, none), (full - up, full, none), (none, full, up),
        (none, full - up, full), (up, none, full), (full, none, full - up),
    )  # fmt: skip
    wheel = np.concatenate([np.stack(sector) for sector in sectors], axis=1)  # (3, 6 * 256)
    crops = torch.from_numpy(wheel)[None, :, None].float()
    theirs = [ops.adjust_hue(pil(crops[0]), share)]
    color.hue(crops, torch.full((1, 1, 1, 1), share))
    assert gap(crops, theirs) < 0.7  # PIL's bytes make steps of 6 levels here


def test_the_whole_jitter_is_torchvisions_in_every_order(crops: Tensor) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    order = np.stack([generator.permutation(4) for _ in crops])
    low, high = np.array(RANGES).T
    factors = generator.uniform(low, high, (len(crops), 4))
    apply = generator.random(len(crops)) < 0.8
    theirs = []
    for row, crop in enumerate(crops):
        image = pil(crop)
        for number in order[row] if apply[row] else ():
            image = ADJUST[number](image, float(factors[row, number]))
        theirs.append(image)
    untouched = crops[~apply].clone()
    color.jitter(crops, apply, order, factors)
    assert gap(crops, theirs) < MOST
    assert torch.equal(crops[~apply], untouched)


def test_gray_is_pils(crops: Tensor) -> None:
    theirs = [ops.to_grayscale(pil(crop), num_output_channels=3) for crop in crops]
    color.to_gray(crops)
    assert gap(crops, theirs) < 0.01


def test_solarize_is_pils(crops: Tensor) -> None:
    theirs = [ImageOps.solarize(pil(crop), 128) for crop in crops]
    color.solarize(crops)
    assert gap(crops, theirs) == 0


@pytest.mark.parametrize("rows", [[], [3], [4, 5, 6], [1, 2, 9, 20, 21]])
def test_a_change_reaches_the_asked_crops_only_and_with_their_values(
    crops: Tensor, rows: list[int]
) -> None:
    apply = np.isin(np.arange(len(crops)), rows)
    values = np.arange(len(crops), dtype=np.float64)
    expected = crops + torch.from_numpy(values * apply).float().view(-1, 1, 1, 1)
    sent = color.per_crop(values, crops)
    color.change(crops, apply, lambda part, value: part.add_(value), sent)
    assert torch.equal(crops, expected)
