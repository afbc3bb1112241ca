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

from vitbench.data.loading import LoaderConfig
from vitbench.data.multicrop import MultiCrop
from vitbench.data.packing import Packing, pack_folder
from vitbench.data.shards import Shards, open_shards, open_training_images, read_shard
from vitbench.data.training_loader import CropBatch, TrainingLoader
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
        LoaderConfig(skip_corrupt=skip),
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
    assert [many.lanes(1024, processes) for processes in (8, 64)] == [64, 64]
    for processes in (128, 256, 1024):  # a lane each
        assert Shards(("a.tar",) * 1024, (1,) * 1024).lanes(8192, processes) == processes
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
    with pytest.raises(DatasetError, match=r"the shard .* can't be read"):
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
    size = pack_folder(tmp_path / "full", out, packing, callback=written.append)
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


def tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as file:
        for name, data in members.items():
            facts = tarfile.TarInfo(name)
            facts.size = len(data)
            file.addfile(facts, io.BytesIO(data))
    return path


IMAGE = picture("0001")


def test_a_sample_gives_its_plain_image_and_no_label_map(tmp_path: Path) -> None:
    members = {"a/x.jpg": IMAGE, "a/x.seg.png": IMAGE, "a/x.cls": b"1"}
    path = tar(
        tmp_path / "x.tar",
        members
        | {"b.d/y.depth.tif": IMAGE, "b.d/y.JPEG": IMAGE, "._z.jpg": b"mac", ".a/q.jpg": b""},
    )
    assert [name for name, _ in read_shard(str(path))] == ["a/x.jpg", "b.d/y.JPEG"]
    assert open_shards(str(path)).counts == (2,)


@pytest.mark.parametrize(
    "names",
    [
        ["x.jpg", "x.png"],
        ["x.left.jpg", "x.right.jpg"],
        ["x.seg.png"],
        ["x.jpg", "y.jpg", "x.seg.png"],  # the parts of x do not follow one another
    ],
)
def test_a_sample_with_two_images_or_none_that_is_plain_is_refused_by_name(
    tmp_path: Path, names: list[str]
) -> None:
    path = tar(tmp_path / "s.tar", dict.fromkeys(names, IMAGE))
    with pytest.raises(DatasetError, match="which image of the sample 'x'") as found:
        open_shards(str(path))
    assert names[-1] in found.value.found
    with pytest.raises(DatasetError, match="which image of the sample 'x'"):
        list(read_shard(str(path)))


def test_training_images_in_folders_win_over_tar_files_beside_them(tmp_path: Path) -> None:
    tar(tmp_path / "ILSVRC2012_img_val.tar", {"ILSVRC2012_val_00000001.JPEG": IMAGE})
    with pytest.raises(DatasetError, match="not all shards"):
        open_training_images(str(tmp_path))
    (tmp_path / "train" / "n01").mkdir(parents=True)
    (tmp_path / "train" / "n01" / "1.JPEG").write_bytes(IMAGE)
    images = open_training_images(str(tmp_path))
    assert not isinstance(images, Shards)
    assert (images.root, images.ids) == (tmp_path / "train", ("n01/1.JPEG",))


def test_a_shard_without_images_is_refused(tmp_path: Path) -> None:
    tar(tmp_path / "ILSVRC2012_img_train.tar", {"n01440764.tar": b"tar in tar", "a.txt": b""})
    tar(tmp_path / "ILSVRC2012_img_val.tar", {"1.JPEG": IMAGE})
    with pytest.raises(DatasetError, match=r"img_train\.tar' holds no image"):
        open_training_images(str(tmp_path))


def test_held_out_shards_beside_training_shards_are_left_out(tmp_path: Path) -> None:
    for name in ("imagenet1k-train-0000.tar", "imagenet1k-validation-00.tar"):
        tar(tmp_path / name, {f"{name[9]}.jpg": IMAGE})
    shards = open_training_images(str(tmp_path))
    assert isinstance(shards, Shards)
    assert [url.rpartition("/")[2] for url in shards.urls] == ["imagenet1k-train-0000.tar"]


@pytest.mark.parametrize("name", ["ILSVRC2012_img_val.tar", "x-test-00.tar", "Validation_7.tar"])
def test_held_out_shards_alone_are_refused_until_they_are_named(tmp_path: Path, name: str) -> None:
    tar(tmp_path / name, {"1.jpg": IMAGE})
    with pytest.raises(DatasetError, match=rf"not all shards (.|\n)*{name}"):
        open_training_images(str(tmp_path))
    assert len(open_training_images(str(tmp_path / name))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "[1, 2]",
        "\u00ff",
        "[" * 100_000,
        *(
            f'{{"x-000.tar": {count}}}'
            for count in ('"6"', "null", "-6", "0", "1e18", "true", "2.5", "1000000000000000000")
        ),
    ],
)
def test_an_index_that_is_none_is_named(folder: Path, text: str) -> None:
    (folder / "index.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, match=r"the index of .*index\.json|the index of .*x-000"):
        open_shards(str(folder))
    (folder / "index.json").unlink()  # as the hint says
    assert open_shards(str(folder)).counts == (EACH,) * SHARDS


def test_an_index_of_something_else_is_no_index(folder: Path) -> None:
    (folder / "index.json").write_text('{"shardlist": [], "wids_version": 1}')
    assert open_shards(str(folder)).counts == (EACH,) * SHARDS


@pytest.mark.parametrize("promised", [EACH - 1, EACH + 1])
def test_a_shard_that_holds_other_images_than_its_index_says_is_refused(
    folder: Path, promised: int
) -> None:
    index = {f"x-{number:03}.tar": promised for number in range(SHARDS)}
    (folder / "index.json").write_text(json.dumps(index))
    batches = loader(open_shards(str(folder))).epoch(0)
    with pytest.raises(DatasetError, match="holds other images than when it was counted"):
        list(batches)


@pytest.mark.parametrize("cut", [100, 512, 700, 1024, 4096, 5000])
@pytest.mark.parametrize("indexed", [False, True])
def test_a_shard_that_is_cut_off_is_named_when_it_is_counted_or_read(
    folder: Path, cut: int, indexed: bool
) -> None:
    if indexed:
        index = {f"x-{number:03}.tar": EACH for number in range(SHARDS)}
        (folder / "index.json").write_text(json.dumps(index))
    path = folder / "x-002.tar"
    path.write_bytes(path.read_bytes().rstrip(b"\0")[:-cut])
    with pytest.raises(DatasetError, match=r"x-002\.tar' can't be read"):
        list(loader(open_shards(str(folder))).epoch(0))


@pytest.mark.parametrize("at", [0, 1024, 2048, 3072])
def test_a_damaged_header_is_no_end_of_the_shard(tmp_path: Path, at: int) -> None:
    path = tar(tmp_path / "x.tar", {f"{number}.jpg": b"x" * 300 for number in range(4)})
    data = bytearray(path.read_bytes())
    data[at + 20 : at + 84] = bytes(range(100, 164))
    path.write_bytes(bytes(data))
    for read in (open_shards, lambda url: list(read_shard(url))):
        with pytest.raises(DatasetError, match=r"x\.tar' can't be read"):
            read(str(path))


def header(name: str, size: bytes) -> bytes:
    """Write a member's header with any size field, 12 bytes."""
    block = bytearray(tarfile.TarInfo(name).tobuf())
    block[124:136], block[148:156] = size, b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    return bytes(block)


@pytest.mark.parametrize(
    "size",
    [
        b"\x80" + (10**18).to_bytes(11),
        b"\x80" + b"\xff" * 11,
        b"\xff" * 11 + b"\x00",
        b"00000001000\0",
        b"77777777777\0",
    ],
)
def test_a_member_that_lies_about_its_size_is_named(tmp_path: Path, size: bytes) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(header("a.jpg", size) + b"x" * 512 + header("b.jpg", b"0" * 11 + b"\0"))
    for read in (open_shards, lambda url: list(read_shard(url))):
        with pytest.raises(DatasetError, match=r"x\.tar' can't be read"):
            read(str(path))


def test_a_pattern_of_endless_shards_is_refused_at_once(tmp_path: Path) -> None:
    for pattern in ("x-{0..99999999}.tar", "x-{0..9999}-{0..9999}.tar", "x-{99999999..0}.tar"):
        with pytest.raises(SettingError, match="expected at most 100000"):
            open_shards(str(tmp_path / pattern))


@pytest.mark.parametrize(
    "spec",
    [
        "github://a/b.tar",
        "zip://a.tar",
        "reference://x.tar",
        "memory://gone.tar",
        "abc::file://x.tar",
        "://x.tar",
        "file://",
        "data:,x.tar",
        "x-{0..}.tar",
        "x-{a,b.tar",
        "http:///x.tar",
        "simplecache::nosuch://x.tar",
        "dir.tar",
    ],
)
def test_odd_urls_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir.tar").mkdir()
    with pytest.raises(DatasetError):
        open_shards(spec)


def test_packed_names_hold_one_dot_and_no_image_hides_another(tmp_path: Path) -> None:
    for name in ("2020.01.jpg", "2020.02.jpg", "a.png", "a.jpg", "a_.jpg"):
        path = tmp_path / "full" / "train" / "c" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    pack_folder(tmp_path / "full", tmp_path / "packed", Packing())
    read = [name for name, _ in read_shard(str(tmp_path / "packed" / "train-00000.tar"))]
    assert len(set(read)) == 5
    assert {"train/c/2020_01.jpg", "train/c/2020_02.jpg", "train/c/a.jpg"} <= set(read)
    assert len(open_shards(str(tmp_path / "packed"))) == 5
