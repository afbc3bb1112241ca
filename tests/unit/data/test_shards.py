import io
import itertools
import json
import sys
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitbench.data.multicrop import MultiCrop
from vitbench.data.packing import Packing, pack_folder
from vitbench.data.shards import Shards, open_shards, open_training_images, read_shard
from vitbench.data.training_loader import CropBatch, Loading, TrainingLoader
from vitbench.errors import DatasetError, DatasetNotFound, MissingDependency, SettingError

CROPS = MultiCrop(global_size=16, local_crops=0)
SHARDS, EACH = 4, 6


def shard(path: Path, names: list[str], broken: tuple[str, ...] = ()) -> None:
    with tarfile.open(path, "w") as tar:
        for name in names:
            for suffix in ("jpg", "cls"):
                data = b"7" if suffix == "cls" or name in broken else picture(name)
                facts = tarfile.TarInfo(f"{name}.{suffix}")
                facts.size = len(data)
                tar.addfile(facts, io.BytesIO(data))


def picture(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 24), (int(name[-4:]) % 256, 90, 10)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(SHARDS):
        names = [f"{number}-{image:04}" for image in range(EACH)]
        shard(tmp_path / f"x-{number:03}.tar", names)
    return tmp_path


def loader(shards: Shards, *, rank: int = 0, processes: int = 1, skip: int = 0) -> TrainingLoader:
    return TrainingLoader(
        shards,
        CROPS,
        Loading(skip_corrupt=skip),
        batch_size=8,
        seed=1,
        device=torch.device("cpu"),
        rank=rank,
        processes=processes,
    )


def names(batches: list[CropBatch]) -> list[str]:
    return [name for batch in batches for name in batch.ids]


def test_a_folder_a_pattern_and_a_url_give_the_same_shards(folder: Path) -> None:
    found = [
        open_shards(str(folder)),
        open_shards(f"{folder}/x-{{000..003}}.tar"),
        open_shards(f"file://{folder}"),
        open_training_images(str(folder)),
    ]
    for shards in found:
        assert isinstance(shards, Shards)
        assert shards.counts == (EACH,) * SHARDS
        first = [name for name, _ in read_shard(shards.urls[0])]
        assert first == [f"0-{image:04}.jpg" for image in range(EACH)]


def test_the_index_spares_the_counting(folder: Path) -> None:
    index = {f"x-{number:03}.tar": 100 + number for number in range(SHARDS)}
    (folder / "index.json").write_text(json.dumps(index))
    assert open_shards(str(folder)).counts == (100, 101, 102, 103)


def test_an_epoch_of_equal_shards_takes_each_image_once(folder: Path) -> None:
    seen = names(list(loader(open_shards(str(folder))).epoch(0)))
    assert len(seen) == len(set(seen)) == SHARDS * EACH
    assert seen != names(list(loader(open_shards(str(folder))).epoch(1)))


def test_two_processes_share_the_batches_of_one(folder: Path) -> None:
    shards = open_shards(str(folder))
    whole = list(loader(shards).epoch(2))
    parts = [list(loader(shards, rank=rank, processes=2).epoch(2)) for rank in range(2)]
    for batch, one, other in zip(whole, *parts, strict=True):
        assert one.ids + other.ids == batch.ids
        for crop, left, right in zip(batch.crops, one.crops, other.crops, strict=True):
            torch.testing.assert_close(torch.cat([left, right]), crop, rtol=0, atol=0)


def test_going_on_from_a_step_gives_the_same_batches(folder: Path) -> None:
    shards = open_shards(str(folder))
    last = list(loader(shards).epoch(0))[2]
    on = next(loader(shards).epoch(0, first_step=2))
    assert on.ids == last.ids
    torch.testing.assert_close(on.crops, last.crops, rtol=0, atol=0)


def test_images_are_shuffled_within_a_lane(folder: Path) -> None:
    shards = Shards((str(folder / "x-000.tar"),), (EACH,))
    read = itertools.islice(shards._lane(0, 0, 0, 1), 3 * EACH)
    order = [name for name, _ in read]
    assert order[:EACH] != sorted(order[:EACH])
    assert set(order) == {f"0-{image:04}.jpg" for image in range(EACH)}
    assert set(Counter(order).values()) == {3}


def test_a_broken_image_is_replaced_and_counted(folder: Path) -> None:
    shard(folder / "x-000.tar", [f"0-{i:04}" for i in range(EACH)], broken=("0-0003",))
    shards = open_shards(str(folder))
    reader = loader(shards, skip=1)
    seen = names(list(reader.epoch(0)))
    assert len(seen) == SHARDS * EACH
    assert "0-0003.jpg" not in seen
    assert set(reader.corrupt) == {"0-0003.jpg"}
    with pytest.raises(DatasetError, match=r"0-0003\.jpg"):
        list(loader(shards).epoch(0))


def test_lanes_divide_the_batch_and_have_a_shard_each() -> None:
    many = Shards(("a.tar",) * 1000, (1,) * 1000)
    assert many.lanes(1024) == 64
    assert many.lanes(96) == 48
    assert Shards(("a.tar",) * 5, (1,) * 5).lanes(8) == 4


def test_processes_that_do_not_divide_the_lanes_are_refused(folder: Path) -> None:
    shards = open_shards(str(folder))
    with pytest.raises(SettingError, match="expected a multiple of 8 processes"):
        next(loader(shards, processes=8).epoch(0))


def test_a_missing_package_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webdataset.shardlists", None)
    with pytest.raises(MissingDependency, match=r"vitbench\[shards\]"):
        open_shards(str(folder))


@pytest.mark.parametrize("spec", ["nothing.tar", "x-{000..004}.tar"])
def test_a_missing_shard_is_named(folder: Path, spec: str) -> None:
    with pytest.raises(DatasetNotFound, match=r"no shard at .*(nothing|x-004)\.tar"):
        open_shards(f"{folder}/{spec}")
    with pytest.raises(DatasetNotFound, match="no shards"):
        open_shards(f"{folder}/x-000.tar/none")


@pytest.mark.parametrize("spec", ["nosuch://bucket/a.tar", "broken.tar"])
def test_shards_that_can_not_be_read_are_named(tmp_path: Path, spec: str) -> None:
    (tmp_path / "broken.tar").write_text("no tar")
    with pytest.raises(DatasetError, match=r"the shards .* can't be read"):
        open_shards(spec if "://" in spec else str(tmp_path / spec))


def test_packed_folders_are_small_and_unpack_to_folders(tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(0))
    for split, images in (("train", 30), ("val", 3)):
        for number in range(images):
            path = tmp_path / "full" / split / f"class{number % 3}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = generator.integers(0, 256, (300, 400, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
    out = tmp_path / "packed"
    written: list[str] = []
    packing = Packing(size=200, quality=90, shard_megabytes=1)
    size = pack_folder(tmp_path / "full", out, packing, listener=written.append)
    assert written == ["train-00000.tar", "train-00001.tar", "val-00000.tar"]
    assert size == sum((out / name).stat().st_size for name in written)
    assert all((out / name).stat().st_size < 1.1 * 2**20 for name in written)
    shards = open_training_images(str(out))
    assert isinstance(shards, Shards)
    assert len(shards) == 30
    for name in written:
        with tarfile.open(out / name) as tar:
            tar.extractall(tmp_path / "unpacked", filter="data")
    with Image.open(tmp_path / "unpacked" / "train" / "class2" / "5.jpg") as image:
        assert image.size == (267, 200)
    assert len(list((tmp_path / "unpacked").rglob("*.jpg"))) == 33
