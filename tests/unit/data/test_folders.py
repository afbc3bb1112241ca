from pathlib import Path

import pytest
from PIL import Image

from vitbench.data.folders import open_folders
from vitbench.errors import DatasetError, DatasetNotFound


def write(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(path, "JPEG")
    return root


def test_val_counts_classes_as_train_does_and_may_lack_some(tmp_path: Path) -> None:
    root = write(tmp_path, "train/ant/1.jpg", "train/bee/1.jpg", "train/cow/1.jpg")
    write(root, "val/bee/2.jpg", "val/cow/2.JPEG")
    train, val = open_folders(root, "train"), open_folders(root, "val")
    assert train.class_names == val.class_names == ("ant", "bee", "cow")
    assert dict(zip(val.ids, val.targets, strict=True)) == {
        "val/bee/2.jpg": 1,
        "val/cow/2.JPEG": 2,
    }
    assert train.info.classes == val.info.classes == 3


def test_a_class_of_val_that_train_lacks_is_refused_by_name(tmp_path: Path) -> None:
    root = write(tmp_path, "train/ant/1.jpg", "train/bee/1.jpg", "val/ant/2.jpg", "val/Bee/2.jpg")
    assert len(open_folders(root, "train")) == 2
    with pytest.raises(DatasetError, match="classes that 'train' lacks: Bee") as found:
        open_folders(root, "val")
    assert "ant, bee" in found.value.expected


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".git", "._ant"])
def test_folders_and_files_with_a_leading_dot_are_no_data(tmp_path: Path, hidden: str) -> None:
    root = write(tmp_path, "train/ant/1.jpg", "train/bee/1.jpg", "val/ant/2.jpg", "val/bee/2.jpg")
    for split in ("train", "val"):
        write(root, f"{split}/{hidden}/9.jpg", f"{split}/ant/{hidden}/9.jpg")
        write(root, f"{split}/bee/._1.jpg")
        dataset = open_folders(root, split)
        assert dataset.class_names == ("ant", "bee")
        assert len(dataset) == 2


def test_without_train_a_split_counts_its_own_classes(tmp_path: Path) -> None:
    val = open_folders(write(tmp_path, "val/b/1.jpg", "val/a/1.jpg"), "val")
    assert (val.class_names, val.targets) == (("a", "b"), [0, 1])


def test_an_empty_class_of_train_is_refused_and_of_val_is_lacking(tmp_path: Path) -> None:
    root = write(tmp_path, "train/ant/1.jpg", "train/bee/1.jpg", "val/ant/2.jpg")
    (root / "val" / "bee").mkdir()
    assert open_folders(root, "val").targets == [0]
    (root / "train" / "bee" / "1.jpg").unlink()
    with pytest.raises(DatasetError, match="class folder 'bee'"):
        open_folders(root, "train")
    (root / "val" / "ant" / "2.jpg").unlink()
    with pytest.raises(DatasetError, match="holds no image"):
        open_folders(root, "val")


def test_the_hint_for_a_flat_val_works(tmp_path: Path) -> None:
    root = write(tmp_path / "image net", "train/n01/1.jpg", "train/n02/1.jpg")
    write(root, "val/ILSVRC2012_val_00000001.JPEG", "val/ILSVRC2012_val_00000002.JPEG")
    with pytest.raises(DatasetNotFound, match="2 images without a class") as found:
        open_folders(root, "val")
    assert "LOC_val_solution.csv" in found.value.hint
    solution = (
        "ImageId,PredictionString\n"
        "ILSVRC2012_val_00000002,n01 85 1 499 272 \n"
        "ILSVRC2012_val_00000001,n02 1 1 2 2 n02 3 3 4 4 \n"
    )
    (root / "LOC_val_solution.csv").write_text(solution)  # beside val/
    moved = open_folders(root, "val")
    assert dict(zip(moved.ids, moved.targets, strict=True)) == {
        "val/ILSVRC2012_val_00000002.JPEG": 0,
        "val/ILSVRC2012_val_00000001.JPEG": 1,
    }


def test_a_split_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="has no 'val' split"):
        open_folders(write(tmp_path, "train/a/1.jpg"), "val")
    (tmp_path / "val").mkdir()
    with pytest.raises(DatasetNotFound, match="has no class folders"):
        open_folders(tmp_path, "val")


def test_a_text_that_stands_for_a_link_is_followed_below_the_root_only(tmp_path: Path) -> None:
    root = write(tmp_path / "data", "train/a/1.jpg", "val/a/1.jpg")
    write(tmp_path, "secret.jpg")
    (root / "val" / "a" / "1.jpg").write_text("../../train/a/1.jpg")
    val = open_folders(root, "val")
    assert val[0].image.size == (8, 8)
    assert val.image_files(0) == (root / "train/a/1.jpg",)
    (root / "val" / "a" / "1.jpg").write_text("../../../secret.jpg")
    with pytest.raises(DatasetError, match="points out of the dataset's folder"):
        val[0]


@pytest.mark.parametrize("name", ["validation", "valid", "test"])
def test_a_val_of_another_name_is_read_and_said(tmp_path: Path, name: str) -> None:
    val = open_folders(write(tmp_path, "train/a/1.jpg", "train/b/1.jpg", f"{name}/b/2.jpg"), "val")
    assert (val.info.split, val.ids, val.targets) == ("val", [f"{name}/b/2.jpg"], [1])
    assert val.notes == (f"val is read from {name!r}: there is no 'val'",)


def test_the_test_split_is_read_where_no_other_is_there_or_it_is_asked_for(tmp_path: Path) -> None:
    root = write(tmp_path, "train/a/1.jpg", "valid/a/2.jpg", "test/a/3.jpg")
    assert open_folders(root, "val").ids == ["valid/a/2.jpg"]
    asked = open_folders(root, "test")
    assert (asked.ids, asked.notes) == (["test/a/3.jpg"], ())
    write(root, "val/a/4.jpg")
    assert open_folders(root, "val").ids == ["val/a/4.jpg"]


def test_a_training_split_has_no_other_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="has no 'train' split"):
        open_folders(write(tmp_path, "training/a/1.jpg", "test/a/3.jpg"), "train")


def test_a_part_has_the_images_and_classes_of_its_items(tmp_path: Path) -> None:
    names = ["ant", "bee", "cow"]
    root = write(tmp_path, *(f"train/{name}/{number}.jpg" for name in names for number in range(2)))
    whole = open_folders(root, "train")
    part = whole.subset([4, 2])
    assert (part.ids, part.targets) == (["train/bee/1.jpg", "train/cow/0.jpg"], [1, 2])
    assert part[0].id == part.ids[0]
    assert part.image_files(1) == (root / "train/cow/0.jpg",)
    assert (part.info.items, part.info.of_items, part.info.classes) == (2, 6, 3)
    assert part.subset([1]).info.of_items == 6


def test_items_of_some_classes_are_numbered_anew(tmp_path: Path) -> None:
    root = write(tmp_path, *(f"train/{name}/1.jpg" for name in ("ant", "bee", "cow")))
    some = open_folders(root, "train").of_classes(["cow", "ant"])
    assert dict(zip(some.ids, some.targets, strict=True)) == {
        "train/ant/1.jpg": 1,
        "train/cow/1.jpg": 0,
    }
    assert (some.class_names, some.info.classes, some.info.of_items) == (("cow", "ant"), 2, 3)
