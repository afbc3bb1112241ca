"""Packed folders are the same classification set as the folders."""

import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from vitbench.data.classification import open_classification
from vitbench.data.packing import Packing, pack_folder
from vitbench.data.shards import open_shards, read_shard
from vitbench.errors import DatasetError, DatasetNotFound


def packed(root: Path, out: Path) -> list[str]:
    said: list[str] = []
    pack_folder(root, out, Packing(size=16, workers=1), log=said.append)
    return said


def classes_of(root: Path, split: str) -> dict[str, str]:
    """Return the class of each image by its name, which tells the images apart."""
    dataset = open_classification(root, split)
    names = [dataset.class_names[target] for target in dataset.targets]
    keys = ["/".join(item.split("/")[-2:]).rpartition(".")[0] for item in dataset.ids]
    return dict(zip(keys, names, strict=True))


@pytest.mark.parametrize("split", ["train", "val"])
def test_shards_have_the_classes_of_the_folders(folders: Path, tmp_path: Path, split: str) -> None:
    said = packed(folders, tmp_path)
    assert said == ["train: 24 images of 3 classes", "val: 12 images of 3 classes"]
    before, after = open_classification(folders, split), open_classification(tmp_path, split)
    assert after.class_names == before.class_names
    assert classes_of(tmp_path, split) == classes_of(folders, split)
    assert len(after) == len(before)


def test_training_reads_the_images_and_not_the_classes(folders: Path, tmp_path: Path) -> None:
    packed(folders, tmp_path)
    shards = open_shards(str(tmp_path))
    read = [name for name, _ in read_shard(shards.urls[0])]
    assert len(read) == len(shards) == 24
    assert all(name.endswith(".jpg") for name in read)


def test_names_of_classes_that_are_numbers_stay_as_they_are(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for name in ("007", "10"):
            folder = tmp_path / "full" / split / name
            folder.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(folder / "a.png")
    packed(tmp_path / "full", tmp_path / "packed")
    for split in ("train", "val"):
        assert open_classification(tmp_path / "packed", split).class_names == ("007", "10")


def test_a_val_that_lacks_classes_keeps_their_numbers(folders: Path, tmp_path: Path) -> None:
    shutil.copytree(folders, tmp_path / "full")
    shutil.rmtree(tmp_path / "full" / "val" / "blue")  # the first
    packed(tmp_path / "full", tmp_path / "packed")
    assert sorted(set(open_classification(tmp_path / "packed", "val").targets)) == [1, 2]


def test_held_out_images_of_another_name_are_packed_as_val(folders: Path, tmp_path: Path) -> None:
    shutil.copytree(folders, tmp_path / "full")
    (tmp_path / "full" / "val").rename(tmp_path / "full" / "validation")
    packed(tmp_path / "full", tmp_path / "packed")
    assert len(open_classification(tmp_path / "packed", "val")) == 12


def test_a_folder_of_class_folders_alone_has_classes(folders: Path, tmp_path: Path) -> None:
    assert packed(folders / "train", tmp_path) == ["train: 24 images of 3 classes"]
    assert classes_of(tmp_path, "train") == classes_of(folders, "train")


def test_images_without_classes_have_none_in_shards(folders: Path, tmp_path: Path) -> None:
    assert packed(folders / "train" / "red", tmp_path) == ["train: 8 images without classes"]
    with tarfile.open(tmp_path / "train-00000.tar") as shard:
        assert all(name.endswith(".jpg") for name in shard.getnames())
    with pytest.raises(DatasetNotFound, match="8 images of .* have no label"):  # noqa: RUF043
        open_classification(tmp_path, "train")


def test_an_image_outside_of_the_classes_leaves_all_without(folders: Path, tmp_path: Path) -> None:
    shutil.copytree(folders, tmp_path / "full")
    shutil.copy(folders / "train" / "red" / "0.png", tmp_path / "full" / "train" / "lost.png")
    assert packed(tmp_path / "full", tmp_path / "packed")[0] == "train: 25 images without classes"


def test_a_class_that_only_val_has_stops_the_packing(folders: Path, tmp_path: Path) -> None:
    shutil.copytree(folders, tmp_path / "full")
    (tmp_path / "full" / "val" / "red").rename(tmp_path / "full" / "val" / "rouge")
    with pytest.raises(DatasetError, match="'train' lacks: rouge"):
        packed(tmp_path / "full", tmp_path / "packed")
