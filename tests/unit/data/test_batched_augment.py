from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.data import batched_augment
from vitbench.data.batched_augment import augment_batch
from vitbench.data.image_files import find_images
from vitbench.data.multicrop import CropDraws, MultiCrop, draw_crops
from vitbench.data.packed_augment import augment_packed
from vitbench.data.pil_augment import STD, augment_with_pil
from vitbench.data.sizes import Pixels

CROPS = MultiCrop(global_size=64, local_size=32, local_crops=3)


@pytest.fixture
def images(photo: Callable[[int, int, int], Pixels]) -> list[Pixels]:
    return [photo(90 + 9 * index, 140 - 11 * index, index) for index in range(8)]


def drawn(images: list[Pixels], crops: MultiCrop = CROPS) -> CropDraws:
    sizes = np.array([image.shape[:2] for image in images])
    return draw_crops(crops, sizes, seed=5, epoch=1, indices=np.arange(len(images)))


def gap(ours: list[Tensor], theirs: list[Tensor]) -> float:
    std = torch.tensor(STD).view(3, 1, 1)
    gaps = [
        ((left - right) * std * 255).abs().mean() for left, right in zip(ours, theirs, strict=True)
    ]
    return torch.stack(gaps).max().item()


def test_the_whole_chain_is_that_of_pil(images: list[Pixels]) -> None:
    draws = drawn(images)
    assert gap(augment_batch(images, CROPS, draws), augment_with_pil(images, CROPS, draws)) < 1


def test_the_chain_for_a_device_is_that_of_pil(images: list[Pixels]) -> None:
    draws = drawn(images)
    ours = augment_packed(images, CROPS, draws, torch.device("cpu"))
    assert gap(ours, augment_with_pil(images, CROPS, draws)) < 1


@pytest.mark.parametrize("few", ["jitter", "gray", "blur", "solarize"])
def test_the_chain_for_a_device_needs_no_change_of_any_crop(images: list[Pixels], few: str) -> None:
    nothing = {"jitter": 0.0, "gray": 0.0, "blur": (0.0,) * 3, "solarize": (0.0,) * 3}
    crops = replace(CROPS, **{**nothing, few: getattr(CROPS, few)})
    draws = drawn(images, crops)
    ours = augment_packed(images, crops, draws, torch.device("cpu"))
    assert gap(ours, augment_with_pil(images, crops, draws)) < 1


@pytest.mark.data
def test_real_photographs_come_out_as_pils(real_data: Path) -> None:
    files = find_images(real_data / "coco")
    real = [files.read(index) for index in range(8)]
    crops = MultiCrop()
    draws = drawn(real, crops)
    theirs = augment_with_pil(real, crops, draws)
    assert gap(augment_batch(real, crops, draws), theirs) < 1
    assert gap(augment_packed(real, crops, draws, torch.device("cpu")), theirs) < 1


@pytest.mark.gpu
def test_the_chain_on_a_gpu_is_that_of_pil(images: list[Pixels]) -> None:
    crops = MultiCrop(local_crops=3)
    draws = drawn(images, crops)
    made = augment_packed(images, crops, draws, torch.device("cuda"))
    assert gap([crop.cpu() for crop in made], augment_with_pil(images, crops, draws)) < 1


def test_two_views_without_local_crops_are_made(images: list[Pixels]) -> None:
    crops = MultiCrop(global_size=32, local_crops=0, interpolation="bilinear")
    draws = drawn(images, crops)
    ours = augment_batch(images, crops, draws)
    assert [tuple(crop.shape) for crop in ours] == [(8, 3, 32, 32)] * 2
    theirs = augment_with_pil(images, crops, draws)
    assert gap(ours, theirs) < 1
    assert gap(augment_packed(images, crops, draws, torch.device("cpu")), theirs) < 1


def test_a_crop_does_not_depend_on_its_batch_nor_on_the_chunks(
    images: list[Pixels], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = augment_batch(images, CROPS, drawn(images))
    alone = draw_crops(
        CROPS, np.array([images[5].shape[:2]]), seed=5, epoch=1, indices=np.array([5])
    )
    monkeypatch.setattr(batched_augment, "CPU_CHUNK", 1)
    for crop, single in zip(whole, augment_batch(images[5:6], CROPS, alone), strict=True):
        torch.testing.assert_close(crop[5:6], single, rtol=0, atol=0)
