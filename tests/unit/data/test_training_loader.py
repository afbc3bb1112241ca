from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.data.image_files import ImageFiles, find_images
from vitbench.data.loading import LoaderConfig
from vitbench.data.multicrop import MultiCrop
from vitbench.data.sizes import Pixels
from vitbench.data.training_loader import CropBatch, TrainingLoader
from vitbench.errors import DatasetError, SettingError

CROPS = MultiCrop(global_size=32, local_size=16, local_crops=2)


@pytest.fixture
def images(tmp_path: Path, photo: Callable[[int, int, int], Pixels]) -> ImageFiles:
    for index in range(11):
        folder = tmp_path / f"class{index % 2}"
        folder.mkdir(exist_ok=True)
        image = Image.fromarray(photo(40 + index, 60 - index, index))
        image.save(folder / f"{index:02}.jpg")
    return find_images(tmp_path)


def loader(
    images: ImageFiles, *, rank: int = 0, processes: int = 1, **loading: Any
) -> TrainingLoader:
    return TrainingLoader(
        images,
        CROPS,
        LoaderConfig(**loading),
        batch_size=4,
        seed=1,
        device=torch.device("cpu"),
        rank=rank,
        processes=processes,
    )


def assert_equal(one: CropBatch, other: CropBatch) -> None:
    assert one.ids == other.ids
    for left, right in zip(one.crops, other.crops, strict=True):
        torch.testing.assert_close(left, right, rtol=0, atol=0)


def test_a_batch_says_where_its_crops_come_from(images: ImageFiles) -> None:
    batch = next(loader(images).epoch(0))
    assert [tuple(crop.shape) for crop in batch.crops] == [
        (4, 3, 32, 32), (4, 3, 32, 32), (4, 3, 16, 16), (4, 3, 16, 16)
    ]  # fmt: skip
    assert batch.ids == tuple(images.ids[index] for index in batch.indices)
    assert batch.boxes.shape == (4, 4, 4)
    assert batch.flips.shape == (4, 4)
    read = images.read(int(batch.indices[0]))
    assert tuple(batch.sizes[0]) == read.shape[:2]


def test_an_epoch_takes_each_image_at_most_once_and_drops_the_rest(images: ImageFiles) -> None:
    whole = loader(images)
    seen = [name for batch in whole.epoch(0) for name in batch.ids]
    assert whole.steps == 2
    assert len(seen) == len(set(seen)) == 8
    assert seen != [name for batch in whole.epoch(1) for name in batch.ids]


def test_going_on_from_a_step_gives_the_same_batches(images: ImageFiles) -> None:
    last = list(loader(images).epoch(3))[1]
    assert_equal(next(loader(images).epoch(3, first_step=1)), last)


def test_the_number_of_workers_changes_nothing(images: ImageFiles) -> None:
    for one, other in zip(
        loader(images, workers=1).epoch(0), loader(images, workers=3).epoch(0), strict=True
    ):
        assert_equal(one, other)


def test_the_cache_changes_nothing_and_spares_the_decoding(
    images: ImageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, cached = loader(images), loader(images, cache="ram")
    for one, other in zip(plain.epoch(0), cached.epoch(0), strict=True):
        assert_equal(one, other)
    seen = {name for batch in cached.epoch(0) for name in batch.ids}
    monkeypatch.setattr("vitbench.data.image_files.decode", None)
    assert {name for batch in cached.epoch(0) for name in batch.ids} == seen


def test_the_reference_path_makes_nearly_the_same_crops(images: ImageFiles) -> None:
    ours, pil = next(loader(images).epoch(0)), next(loader(images, augment="pil").epoch(0))
    assert ours.ids == pil.ids
    for left, right in zip(ours.crops, pil.crops, strict=True):
        assert (left - right).abs().mean() * 0.225 * 255 < 1.5


def test_two_processes_share_the_batch_of_one(images: ImageFiles) -> None:
    whole = next(loader(images).epoch(0))
    parts = [next(loader(images, rank=rank, processes=2).epoch(0)) for rank in range(2)]
    assert parts[0].ids + parts[1].ids == whole.ids
    for view, crop in enumerate(whole.crops):
        torch.testing.assert_close(
            torch.cat([part.crops[view] for part in parts]), crop, rtol=0, atol=0
        )


def break_file(images: ImageFiles, index: int) -> str:
    path = images.root / images.ids[index]
    path.write_bytes(path.read_bytes()[:300])
    return images.ids[index]


def test_a_broken_image_is_replaced_by_the_next_and_counted(images: ImageFiles) -> None:
    broken = break_file(images, 5)
    reader = loader(images, skip_corrupt=1)
    seen = [name for epoch in range(4) for batch in reader.epoch(epoch) for name in batch.ids]
    assert len(seen) == 32
    assert broken not in seen
    assert set(reader.corrupt) == {broken}


def test_one_broken_image_too_many_stops_with_its_name(images: ImageFiles) -> None:
    broken = break_file(images, 5)
    with pytest.raises(DatasetError, match=broken):
        list(loader(images).epoch(0)) + list(loader(images).epoch(1))


def test_a_batch_that_does_not_divide_is_refused(images: ImageFiles) -> None:
    with pytest.raises(SettingError, match="multiple of 3 processes"):
        loader(images, processes=3)


def test_an_image_is_decoded_as_pil_does(images: ImageFiles) -> None:
    with Image.open(images.root / images.ids[0]) as image:
        np.testing.assert_array_equal(images.read(0), np.array(image.convert("RGB")))
