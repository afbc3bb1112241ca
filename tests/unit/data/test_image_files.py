from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitbench.data.decode import CorruptImage
from vitbench.data.image_files import find_images
from vitbench.errors import DatasetError, DatasetNotFound


def save(path: Path, mode: str = "RGB", **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.arange(20 * 30 * 3, dtype=np.uint32).reshape(20, 30, 3) * 7 % 256
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path, **options)
    return path


def test_class_folders_a_flat_folder_and_coco_are_all_found(tmp_path: Path) -> None:
    save(tmp_path / "flat" / "b.png")
    save(tmp_path / "flat" / "a.JPEG")
    (tmp_path / "flat" / "notes.txt").write_text("no image")
    save(tmp_path / "folders" / "train" / "cat" / "1.jpg")
    save(tmp_path / "folders" / "val" / "cat" / "2.jpg")
    save(tmp_path / "coco" / "train2017" / "000000000009.jpg")
    save(tmp_path / "coco" / "val2017" / "000000000139.jpg")
    assert find_images(tmp_path / "flat").ids == ("a.JPEG", "b.png")
    assert find_images(tmp_path / "folders").ids == ("cat/1.jpg",)
    assert find_images(tmp_path / "coco").ids == ("000000000009.jpg",)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="an empty folder"):
        find_images(tmp_path)
    with pytest.raises(DatasetNotFound, match="no such folder"):
        find_images(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("a.jpg", "RGB", {}),
        ("a.jpg", "RGB", {"progressive": True, "subsampling": 0}),
        ("a.jpg", "L", {}),
        ("a.jpg", "CMYK", {}),
        ("a.png", "RGBA", {}),
        ("a.png", "P", {}),
        ("a.webp", "RGB", {"lossless": True}),
    ],
)
def test_every_format_decodes_to_pils_pixels(
    tmp_path: Path, name: str, mode: str, options: dict[str, object]
) -> None:
    path = save(tmp_path / name, mode, **options)
    with Image.open(path) as image:
        expected = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(find_images(tmp_path).read(0), expected)


def test_the_orientation_mark_is_ignored_as_pil_ignores_it(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(tmp_path / "a.jpg", exif=exif)
    assert find_images(tmp_path).read(0).shape == (20, 30, 3)


@pytest.mark.parametrize("content", [b"", b"no image", b"\xff\xd8\xff\xe0 nothing \xff\xd9"])
def test_a_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(CorruptImage, match=r"bad\.jpg"):
        find_images(tmp_path).read(0)


def test_a_cut_off_jpeg_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "cut.jpg")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptImage, match="truncated"):
        find_images(tmp_path).read(0)


@pytest.mark.parametrize(
    ("taken", "others"),
    [
        ("images/training", ["images/validation", "annotations/training"]),  # ADE20K
        ("train2017", ["val2017", "unlabeled2017"]),  # COCO
        ("images/train2017", ["images/val2017", "labels/train2017"]),
        ("JPEGImages/480p", ["Annotations/480p", "JPEGImages/Full-Resolution"]),  # DAVIS
        ("JPEGImages", ["SegmentationClass", "SegmentationObject"]),  # PASCAL VOC
        ("leftImg8bit/train", ["leftImg8bit/val", "gtFine/train"]),  # Cityscapes
        ("train", ["val", "test", "masks"]),
    ],
)
def test_a_known_layout_gives_its_training_images_alone(
    tmp_path: Path, taken: str, others: list[str]
) -> None:
    save(tmp_path / taken / "a" / "1.png")
    for other in others:
        save(tmp_path / other / "a" / "2.png")
    found = find_images(tmp_path)
    assert (found.root, found.ids) == (tmp_path / taken, ("a/1.png",))
    assert found.file(0) == tmp_path / taken / "a" / "1.png"


@pytest.mark.parametrize(
    "folder", ["val", "Validation", "test", "val2014", "masks", "annotations", "labels/train", "GT"]
)
def test_held_out_images_and_label_maps_are_not_trained_on(tmp_path: Path, folder: str) -> None:
    save(tmp_path / "data" / "pictures" / "1.png")
    save(tmp_path / "data" / folder / "2.png")
    with pytest.raises(DatasetError, match="not all images") as found:
        find_images(tmp_path / "data")
    assert f"{folder}/2.png" in found.value.found
    assert len(find_images(tmp_path / "data" / "pictures")) == 1
    assert len(find_images(tmp_path / "data" / folder)) == 1  # named on purpose


@pytest.mark.parametrize(
    ("folder", "train_list", "image"),
    [
        ("JPEGImages/480p", "2017/train.txt", "{}/00000.png"),  # DAVIS: names of clips
        ("JPEGImages", "Main/train.txt", "{}.png"),  # PASCAL VOC: names of images
    ],
)
def test_one_folder_of_all_splits_gives_the_images_of_the_training_list(
    tmp_path: Path, folder: str, train_list: str, image: str
) -> None:
    for name in ("bear", "crab"):
        save(tmp_path / folder / image.format(name))
    path = tmp_path / "ImageSets" / train_list
    path.parent.mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"which images of .* are for training"):
        find_images(tmp_path)
    path.write_text("crab\n")
    assert find_images(tmp_path).ids == (image.format("crab"),)
    assert len(find_images(tmp_path / folder)) == 2  # all of them on purpose


def test_a_folder_of_labels_without_images_is_no_hindrance(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "1.png")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "boxes.json").write_text("{}")
    assert find_images(tmp_path).ids == ("cat/1.png",)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [
        ("ade20k", "images/training", 1),
        ("coco", "train2017", 200),
        ("coco_semseg", "images/training", 100),
        ("imagenette160", "train", 9469),
    ],
)
def test_real_folders_give_their_training_images(
    real_data: Path, name: str, folder: str, count: int
) -> None:
    found = find_images(real_data / name)
    assert found.root == real_data / name / folder
    assert len(found) == count
    assert found.read(0).ndim == 3


def test_a_text_that_stands_for_a_link_is_followed_below_the_dataset_only(tmp_path: Path) -> None:
    root = tmp_path / "data"
    raw, secret = save(root / "raw" / "1.png"), save(tmp_path / "secret.png")
    link = root / "images" / "training" / "1.png"
    link.parent.mkdir(parents=True)
    link.write_text("../../raw/1.png")
    images = find_images(root)
    assert (images.ids, images.file(0)) == (("1.png",), raw)
    assert images.read(0).shape == (20, 30, 3)
    link.write_text(f"../../../{secret.name}")
    with pytest.raises(DatasetError, match="points out of the dataset"):
        images.read(0)


@pytest.mark.data
def test_real_clips_of_the_val_split_are_not_trained_on(real_data: Path) -> None:
    with pytest.raises(DatasetError, match=r"which images of .* are for training"):
        find_images(real_data / "davis")
