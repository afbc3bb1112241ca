import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torchvision.transforms import RandomResizedCrop

from vitbench.data.multicrop import (
    CropDraws,
    Ints,
    MultiCrop,
    dino_crops,
    draw_crops,
    moby_crops,
    selfpatch_crops,
)
from vitbench.settings import problems


def drawn(crops: MultiCrop, images: int = 4000, height: int = 375, width: int = 500) -> CropDraws:
    sizes: Ints = np.tile(np.array([[height, width]]), (images, 1))
    return draw_crops(crops, sizes, seed=0, epoch=0, indices=np.arange(images))


def test_a_sample_draws_the_same_alone_and_in_any_batch() -> None:
    sizes = np.array([[300, 400], [90, 80], [500, 333]])
    batch = draw_crops(MultiCrop(), sizes, seed=3, epoch=2, indices=np.array([10, 4, 7]))
    alone = draw_crops(MultiCrop(), sizes[1:2], seed=3, epoch=2, indices=np.array([4]))
    for field in dataclasses.fields(CropDraws):
        np.testing.assert_array_equal(getattr(batch, field.name)[1:2], getattr(alone, field.name))


def test_the_chances_are_those_of_the_settings() -> None:
    draws = drawn(dino_crops())
    views = draws.flip.shape[1]
    assert views == 10
    np.testing.assert_allclose(draws.flip.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(draws.jitter.mean(axis=0), 0.8, atol=0.03)
    np.testing.assert_allclose(draws.gray.mean(axis=0), 0.2, atol=0.03)
    blurred = (draws.blur_radius > 0).mean(axis=0)
    np.testing.assert_allclose(blurred, [1.0, 0.1, *[0.5] * 8], atol=0.03)
    np.testing.assert_allclose(draws.solarize.mean(axis=0), [0, 0.2, *[0] * 8], atol=0.03)


def test_the_factors_stay_in_their_ranges_and_fill_them() -> None:
    draws = drawn(dino_crops())
    low, high = [0.6, 0.6, 0.8, -0.1], [1.4, 1.4, 1.2, 0.1]
    np.testing.assert_allclose(draws.factors.min(axis=(0, 1)), low, atol=0.01)
    np.testing.assert_allclose(draws.factors.max(axis=(0, 1)), high, atol=0.01)
    assert (draws.factors >= low).all()
    assert (draws.factors <= high).all()
    radius = draws.blur_radius[:, 0]
    assert 0.1 <= radius.min() < 0.11
    assert 1.99 < radius.max() <= 2.0


def test_the_four_adjustments_come_in_each_order() -> None:
    order = drawn(dino_crops()).order.reshape(-1, 4)
    kinds, counts = np.unique(order, axis=0, return_counts=True)
    assert len(kinds) == 24
    np.testing.assert_allclose(counts / len(order), 1 / 24, rtol=0.1)


@pytest.mark.parametrize("scale", [(0.4, 1.0), (0.05, 0.4)])
@pytest.mark.parametrize(("height", "width"), [(375, 500), (600, 200)])
def test_the_boxes_are_spread_as_torchvisions(
    scale: tuple[float, float], height: int, width: int
) -> None:
    ours = drawn(MultiCrop(global_scale=scale, local_crops=0), 1500, height, width).box
    top, left, tall, wide = np.moveaxis(ours.reshape(-1, 4), 1, 0)
    assert (np.stack([top, left]) >= 0).all()
    assert (top + tall <= height).all()
    assert (left + wide <= width).all()
    torch.manual_seed(0)
    image = torch.empty(1, height, width)
    theirs = np.array(
        [RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in range(3000)]
    )
    quantiles = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(
        np.quantile(ours.reshape(-1, 4), quantiles, axis=0),
        np.quantile(theirs, quantiles, axis=0),
        atol=0.05 * max(height, width),
    )


def test_the_fallback_is_the_central_crop() -> None:
    box = drawn(MultiCrop(global_scale=(1.0, 1.0), local_crops=0), 4, 100, 1000).box
    np.testing.assert_array_equal(box, np.broadcast_to([0, 433, 100, 133], box.shape))


def test_an_image_of_one_pixel_is_cropped_whole() -> None:
    box = drawn(MultiCrop(), 4, 1, 1).box
    np.testing.assert_array_equal(box, np.broadcast_to([0, 0, 1, 1], box.shape))


@pytest.mark.parametrize("preset", [dino_crops, selfpatch_crops, moby_crops])
def test_the_presets_keep_to_their_limits(preset: Callable[[], MultiCrop]) -> None:
    assert problems(preset()) == []


def test_the_presets_say_what_the_papers_use() -> None:
    assert dino_crops().sizes == (224, 224, *[96] * 8)
    assert selfpatch_crops().local_scale == (0.05, 0.25)
    assert moby_crops().sizes == (224, 224)
    assert moby_crops().interpolation == "bilinear"
