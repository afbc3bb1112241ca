"""Index maps in ADE20K's layout."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.positives import PositiveRule, find_positives
from vitbench.data.semantic import open_semantic
from vitbench.errors import DatasetError, DatasetNotFound


def write(root: Path, labels: Image.Image, *, size: tuple[int, int] = (8, 8)) -> Path:
    for part, suffix, image in (
        ("images", "jpg", Image.new("RGB", size)),
        ("annotations", "png", labels),
    ):
        folder = root / part / "validation"
        folder.mkdir(parents=True)
        image.save(folder / f"one.{suffix}")
    return root


def blocks(rows: list[list[int]]) -> Image.Image:
    return Image.fromarray(np.asarray(rows, np.uint8).repeat(4, 0).repeat(4, 1))


def test_labels_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("wall\nsky\n")
    dataset = open_semantic(write(tmp_path, blocks([[0, 1], [2, 255]])), "val")
    assert dataset.info.classes == 2
    np.testing.assert_array_equal(dataset[0].target[::4, ::4], [[0, 1], [2, 255]])
    np.testing.assert_array_equal(dataset.target(0)[::4, ::4], [[0, 1], [2, 0]])


def test_index_maps_are_counted(tmp_path: Path) -> None:
    target = open_semantic(write(tmp_path, blocks([[1, 1], [2, 0]])), "val").target(0)
    reading = PositiveRule(geometry="squash", image_px=8, patch_px=4)
    np.testing.assert_array_equal(find_positives(target, reading).counts, [[1, 1], [0, 0]])


def test_color_label_files_are_refused(tmp_path: Path) -> None:
    dataset = open_semantic(write(tmp_path, Image.new("RGB", (8, 8))), "val")
    with pytest.raises(DatasetError, match="holds colors, not class indices"):
        dataset.target(0)


def test_labels_above_the_class_count_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("wall\n")
    dataset = open_semantic(write(tmp_path, blocks([[1, 7]])), "val")
    with pytest.raises(DatasetError, match="labels that are no class"):
        dataset.target(0)


def test_labels_of_another_size_are_refused(tmp_path: Path) -> None:
    dataset = open_semantic(write(tmp_path, blocks([[1, 1]]), size=(5, 5)), "val")
    with pytest.raises(DatasetError, match="not of the size"):
        dataset[0]


def test_images_without_labels_are_named(tmp_path: Path) -> None:
    root = write(tmp_path, blocks([[1]]))
    (root / "annotations" / "validation" / "one.png").unlink()
    with pytest.raises(DatasetError, match="without the other: one"):
        open_semantic(root, "val")


@pytest.mark.parametrize(
    "name",
    ["index_ade20k.pkl", "images/ADE/training/urban/street/ADE_train_00016858_seg.png"],
)
def test_the_full_ade20k_is_told_from_the_benchmark(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(DatasetError, match=r"full ADE20K(.|\n)*ADEChallengeData2016"):
        open_semantic(tmp_path, "val")


def test_255_is_a_class_where_the_class_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("".join(f"class {n}\n" for n in range(1, 256)))
    target = open_semantic(write(tmp_path, blocks([[255, 0]])), "val").target(0)
    assert np.unique(target).tolist() == [0, 255]


def test_links_that_a_checkout_wrote_as_text_are_followed(tmp_path: Path) -> None:
    root = write(tmp_path, blocks([[1, 1]]), size=(8, 4))
    image = root / "images" / "validation" / "one.jpg"
    image.rename(tmp_path / "elsewhere.jpg")
    image.write_text("../../elsewhere.jpg")
    assert open_semantic(root, "val")[0].image.size == (8, 4)


def test_a_folder_of_another_layout_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="no index maps"):
        open_semantic(tmp_path, "val")


@pytest.mark.parametrize("name", ["images/validation/one.jpg", "annotations/validation/one.png"])
def test_a_link_out_of_the_data_is_refused(tmp_path: Path, name: str) -> None:
    root = write(tmp_path / "data", blocks([[1, 1]]), size=(8, 4))
    file = root / name
    secret = file.rename(tmp_path / f"secret{file.suffix}")
    file.write_text(f"../../../{secret.name}")
    with pytest.raises(DatasetError, match="points out of the dataset's folder"):
        open_semantic(root, "val")


@pytest.mark.parametrize("name", [".one.png", "._one.png"])
def test_names_with_a_leading_dot_are_no_data(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, blocks([[1, 1]]), size=(8, 4))
    (root / "annotations" / "validation" / name).write_bytes(b"Mac OS X")
    assert open_semantic(root, "val").ids == ["one.jpg"]


def test_two_images_of_one_name_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path, blocks([[1, 1]]), size=(8, 4))
    Image.new("RGB", (8, 4)).save(root / "images" / "validation" / "one.png")
    with pytest.raises(DatasetError, match=r"two files are called 'one'.*one\.jpg.*one\.png"):
        open_semantic(root, "val")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (Image.fromarray(np.full((8, 8), 700, np.uint16)), 700),
        (Image.fromarray(np.full((8, 8), True)), 1),
    ],
)
def test_labels_of_one_bit_and_of_sixteen_are_read(
    tmp_path: Path, labels: Image.Image, expected: int
) -> None:
    target = open_semantic(write(tmp_path, labels), "val").target(0)
    assert np.unique(target).tolist() == [expected]


def test_labels_below_0_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path, blocks([[1]]))
    labels = Image.fromarray(np.full((8, 8), -1, np.int32))
    labels.save(root / "annotations" / "validation" / "one.png", format="TIFF")
    with pytest.raises(DatasetError, match=r"numbers that are no labels(.|\n)*-1"):
        open_semantic(root, "val").target(0)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "items", "classes"), [("ade20k", 3, 150), ("coco_semseg", 50, 129)]
)
def test_real_folders_are_read(real_data: Path, name: str, items: int, classes: int) -> None:
    dataset = open_semantic(real_data / name, "val")
    assert (len(dataset), dataset.info.classes) == (items, classes)
    found = find_positives(dataset[0].target, PositiveRule())
    assert 0 < found.mean < 8
