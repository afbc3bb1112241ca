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


UNCOLORED: Any = {"jitter": 0, "gray": 0, "solarize": (0, 0, 0), "blur": (0, 0, 0)}
SMALL = MultiCrop(global_size=64, local_size=32, local_crops=2, **UNCOLORED)


@pytest.fixture
def photographs(tmp_path: Path, photo: Callable[[int, int, int], Pixels]) -> ImageFiles:
    pixels = photo(480, 640, 0)
    for index in range(8):
        image = Image.fromarray(np.roll(pixels, (37 * index, 91 * index), (0, 1)))
        image.save(tmp_path / f"{index:02}.jpg", quality=90)
    return find_images(tmp_path)


def first_batch(images: ImageFiles, crops: MultiCrop, **loading: Any) -> CropBatch:
    made = TrainingLoader(
        images, crops, LoaderConfig(**loading), batch_size=8, seed=1, device=torch.device("cpu")
    )
    return next(made.epoch(0))


def gaps(one: CropBatch, other: CropBatch) -> list[float]:
    """Return how far the pixels of each crop are apart on average, in steps of 8 bits."""
    pairs = zip(one.crops, other.crops, strict=True)
    return [float((left - right).abs().mean()) * 0.225 * 255 for left, right in pairs]


@pytest.mark.parametrize("augment", ["batched", "pil"])
def test_scaled_decoding_makes_nearly_the_same_crops_of_the_same_places(
    photographs: ImageFiles, augment: str
) -> None:
    exact = first_batch(photographs, SMALL, augment=augment)
    scaled = first_batch(photographs, SMALL, augment=augment, decode="scaled")
    assert exact.ids == scaled.ids
    np.testing.assert_array_equal(exact.boxes, scaled.boxes)
    np.testing.assert_array_equal(exact.sizes, scaled.sizes)
    assert all(0 < gap < 6 for gap in gaps(exact, scaled))


def test_scaled_decoding_leaves_large_crops_as_they_are(photographs: ImageFiles) -> None:
    large = MultiCrop(global_size=224, local_size=96)
    exact, scaled = (first_batch(photographs, large, decode=how) for how in ("exact", "scaled"))
    assert_equal(exact, scaled)


def test_scaled_decoding_leaves_other_files_and_small_ones_as_they_are(
    photographs: ImageFiles,
) -> None:
    for number, path in enumerate(sorted(photographs.root.glob("*.jpg"))):
        with Image.open(path) as image:
            if number % 2:
                image.save(path.with_suffix(".png"))
                path.unlink()
            else:
                image.resize((70, 90)).save(path)
    files = find_images(photographs.root)
    exact, scaled = (first_batch(files, SMALL, decode=how) for how in ("exact", "scaled"))
    assert_equal(exact, scaled)


def test_a_photograph_cut_off_is_broken_however_it_is_decoded(photographs: ImageFiles) -> None:
    path = photographs.root / photographs.ids[5]
    path.write_bytes(path.read_bytes()[:-4000])
    for how in ("exact", "scaled"):
        with pytest.raises(DatasetError, match=photographs.ids[5]):
            first_batch(photographs, SMALL, decode=how)


@pytest.mark.parametrize(
    ("loading", "words"),
    [
        ({"decode": "scaled", "cache": "ram"}, "--cache ram"),
        ({"decode": "nvjpeg", "augment": "pil"}, "--augment pil"),
        ({"decode": "nvjpeg"}, "--decode nvjpeg can't be used here"),
    ],
)
def test_settings_that_contradict_the_decoding_are_refused(
    images: ImageFiles, loading: dict[str, Any], words: str
) -> None:
    with pytest.raises(SettingError, match=words) as refused:
        loader(images, **loading)
    error = refused.value
    assert all((error.expected, error.found, error.hint))
