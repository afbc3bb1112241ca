"""A split in one folder, with the list of its classes as it was published."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.content import Digests, fingerprint
from vitbench.data.folders import open_folders
from vitbench.errors import DatasetError

VAL = "ILSVRC2012_val_0000000{}.JPEG"
ANSWERS = {1: "n02", 2: "n01", 3: "n02"}


def images(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(root / name, "JPEG")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    images(tmp_path, "train/n01/1.JPEG", "train/n02/1.JPEG", "train/n03/1.JPEG")
    images(tmp_path, *(f"val/{VAL.format(number)}" for number in ANSWERS))
    return tmp_path


def kaggle(root: Path, folder: str = "") -> None:
    rows = [f"{VAL.format(n).removesuffix('.JPEG')},{name} 1 2 3 4 " for n, name in ANSWERS.items()]
    (root / folder / "LOC_val_solution.csv").write_text(
        "\n".join(["ImageId,PredictionString", *rows])
    )


def devkit(root: Path, folder: str = "ILSVRC2012_devkit_t12/data") -> None:
    """Write the devkit's files; its numbers are not in the order of the names."""
    from scipy.io import savemat

    numbers = {"n01": 2, "n02": 3, "n03": 1, "animal": 4}
    kind = [("ILSVRC2012_ID", object), ("WNID", object), ("words", object)]
    synsets = np.array([(number, name, "word") for name, number in numbers.items()], dtype=kind)
    (root / folder).mkdir(parents=True, exist_ok=True)
    savemat(root / folder / "meta.mat", {"synsets": synsets.reshape(-1, 1)})
    truth = "".join(f"{numbers[name]}\n" for name in ANSWERS.values())
    (root / folder / "ILSVRC2012_validation_ground_truth.txt").write_text(truth)


LISTS: list[Callable[[Path], None]] = [
    kaggle,
    lambda root: kaggle(root, "val"),
    devkit,
    lambda root: devkit(root, ""),
    lambda root: devkit(root, "val"),
]


@pytest.mark.parametrize("write", LISTS)
def test_imagenets_flat_val_is_read_with_its_ground_truth(
    root: Path, write: Callable[[Path], None]
) -> None:
    write(root)
    val = open_folders(root, "val")
    found = {
        name: val.class_names[target] for name, target in zip(val.ids, val.targets, strict=True)
    }
    assert found == {f"val/{VAL.format(number)}": name for number, name in ANSWERS.items()}
    assert val.class_names == ("n01", "n02", "n03")
    assert val[0].id == val.ids[0]
    assert val[0].target == val.targets[0]
    assert any("are read from" in note for note in val.notes)


def test_kaggles_list_lies_above_its_images(root: Path, tmp_path: Path) -> None:
    inner = tmp_path / "kaggle" / "ILSVRC" / "Data" / "CLS-LOC"
    inner.mkdir(parents=True)
    for split in ("train", "val"):
        (root / split).rename(inner / split)
    kaggle(tmp_path / "kaggle")
    assert sorted(open_folders(inner, "val").targets) == [0, 1, 1]


def test_tiny_imagenets_val_is_read_with_its_annotations(tmp_path: Path) -> None:
    images(tmp_path, "train/n01/images/n01_0.JPEG", "train/n02/images/n02_0.JPEG")
    images(tmp_path, "val/images/val_0.JPEG", "val/images/val_1.JPEG")
    text = "val_0.JPEG\tn02\t0\t32\t44\t62\nval_1.JPEG\tn01\t1\t2\t3\t4\n"
    (tmp_path / "val" / "val_annotations.txt").write_text(text)
    val = open_folders(tmp_path, "val")
    assert dict(zip(val.ids, val.targets, strict=True)) == {
        "val/images/val_0.JPEG": 1,
        "val/images/val_1.JPEG": 0,
    }
    assert open_folders(tmp_path, "train").targets == [0, 1]


def test_a_class_that_is_called_images_is_a_class(tmp_path: Path) -> None:
    images(tmp_path, "val/images/1.jpg", "val/texts/1.jpg")
    assert open_folders(tmp_path, "val").class_names == ("images", "texts")


def test_the_list_is_part_of_what_the_data_is_known_by(root: Path) -> None:
    kaggle(root)

    def mark() -> str:
        return fingerprint(open_folders(root, "val"), Digests(root), pixels=True)

    before = mark()
    path = root / "LOC_val_solution.csv"
    path.write_text(path.read_text().replace("n01", "n03"))
    assert mark() != before


def test_an_image_that_the_list_does_not_name_is_refused(root: Path) -> None:
    kaggle(root)
    images(root, "val/more.JPEG")
    with pytest.raises(DatasetError, match="lacks the class of 1 images") as found:
        open_folders(root, "val")
    assert "more.JPEG" in found.value.found


def test_a_part_of_the_images_is_read_and_said(root: Path) -> None:
    kaggle(root)
    (root / "val" / VAL.format(3)).unlink()
    val = open_folders(root, "val")
    assert len(val) == 2
    assert "1 images that LOC_val_solution.csv names are not there" in val.notes


def test_a_class_that_train_lacks_is_refused(root: Path) -> None:
    kaggle(root)
    (root / "train" / "n01").rename(root / "train" / "m01")
    with pytest.raises(DatasetError, match="classes that 'train' lacks: n01"):
        open_folders(root, "val")


@pytest.mark.parametrize("name", ["ILSVRC2012_validation_ground_truth.txt", "meta.mat"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 300])
def test_a_broken_list_is_named(root: Path, name: str, content: bytes) -> None:
    devkit(root)
    (root / "ILSVRC2012_devkit_t12" / "data" / name).write_bytes(content)
    with pytest.raises(DatasetError, match=r"can't be read|lacks the class"):
        open_folders(root, "val")
