"""Training images are known again by their names and contents, wherever they lie."""

import os
import shutil
from pathlib import Path

import fsspec
import pytest

from vitbench.data.image_files import ImageFiles
from vitbench.data.packing import Packing, pack_folder
from vitbench.errors import DatasetError
from vitbench.training import images
from vitbench.training.images import TrainingImages, open_images


def copied(folders: Path, place: Path) -> Path:
    shutil.copytree(folders, place)
    return place


def fingerprint(data: Path | str) -> str:
    found: str = open_images(str(data)).facts()["fingerprint"]
    return found


def test_the_same_images_elsewhere_are_the_same_data(folders: Path, tmp_path: Path) -> None:
    moved = copied(folders, tmp_path / "moved")
    assert fingerprint(moved) == fingerprint(folders)
    (moved / "val" / "red" / "0.png").unlink()  # nobody trains on it
    assert fingerprint(moved) == fingerprint(folders)


def test_a_changed_byte_is_seen_in_a_second_look(folders: Path, tmp_path: Path) -> None:
    data = copied(folders, tmp_path / "data")
    for path in (data / "train").rglob("*.png"):
        os.utime(path, ns=(10**18, 10**18))
    before = fingerprint(data)
    changed = data / "train" / "red" / "3.png"
    pixels = changed.read_bytes()
    changed.write_bytes(pixels[:-20] + bytes([pixels[-20] ^ 1]) + pixels[-19:])
    os.utime(changed, ns=(10**18, 10**18))
    assert fingerprint(data) != before


def test_two_images_that_change_their_names_are_other_data(folders: Path, tmp_path: Path) -> None:
    data = copied(folders, tmp_path / "data")
    red, blue = (data / "train" / name / "0.png" for name in ("red", "blue"))
    one, other = red.read_bytes(), blue.read_bytes()
    red.write_bytes(other)
    blue.write_bytes(one)
    assert fingerprint(data) != fingerprint(folders)


def test_shards_count_by_content_and_say_how_many_they_are(folders: Path, tmp_path: Path) -> None:
    packing = Packing(size=32, shard_megabytes=1)
    for name in ("one", "two"):
        pack_folder(folders, tmp_path / name, packing)
    assert fingerprint(tmp_path / "one") == fingerprint(tmp_path / "two")
    found = open_images(str(tmp_path / "one"))
    assert str(found).startswith("24 images in 1 shard, the first of them file://")
    (shard,) = (tmp_path / "two").glob("train-*.tar")
    content = bytearray(shard.read_bytes())
    content[2000] ^= 1
    shard.write_bytes(content)
    assert fingerprint(tmp_path / "two") != fingerprint(tmp_path / "one")


def test_a_shard_of_a_store_counts_by_what_the_store_says(folders: Path, tmp_path: Path) -> None:
    pack_folder(folders, tmp_path / "one", Packing(size=32, shard_megabytes=1))
    (shard,) = (tmp_path / "one").glob("train-*.tar")
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/train-0.tar", shard.read_bytes())
    before = fingerprint("memory://bucket/train-0.tar")
    store.pipe("/bucket/train-0.tar", shard.read_bytes() + bytes(10240))
    assert fingerprint("memory://bucket/train-0.tar") != before


def test_a_long_reading_is_told_of_in_tenths(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    data = copied(folders, tmp_path / "data")
    open_images(str(data)).facts(told.append)
    assert told == []  # 24 files are read at once
    monkeypatch.setattr(images, "MANY", 24)
    open_images(str(copied(folders, tmp_path / "again"))).facts(told.append)
    assert told == ["hashing the data, once for all: 24 of 24 files"]


def test_images_say_their_number_and_their_folder(folders: Path) -> None:
    found = open_images(str(folders))
    assert isinstance(found, TrainingImages)
    assert str(found) == f"24 images of {folders / 'train'}"


def test_a_split_list_takes_classes_or_images(folders: Path, tmp_path: Path) -> None:
    chosen = tmp_path / "list.txt"
    chosen.write_text("# a color\nred\n")
    found = open_images(str(folders), str(chosen))
    assert isinstance(found.images, ImageFiles)
    assert {one.partition("/")[0] for one in found.images.ids} == {"red"}
    assert found.facts()["fingerprint"] != fingerprint(folders)
    chosen.write_text("red/0.png\nblue/1.png\n")
    two = open_images(str(folders), str(chosen)).images
    assert isinstance(two, ImageFiles)
    assert set(two.ids) == {"red/0.png", "blue/1.png"}


def test_a_split_list_that_names_what_is_not_there_is_refused(folders: Path) -> None:
    with pytest.raises(DatasetError, match="name no one item of train"):
        open_images(str(folders), "imagenet-10")


def test_a_split_list_of_shards_is_refused(folders: Path, tmp_path: Path) -> None:
    pack_folder(folders, tmp_path / "one", Packing(size=32, shard_megabytes=1))
    with pytest.raises(DatasetError, match="can't be taken of the shards"):
        open_images(str(tmp_path / "one"), "imagenet-10")
