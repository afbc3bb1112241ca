"""PASCAL VOC's index maps: background is a class, 255 is void."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.dataset import open_dataset
from vitbench.engine.options import RunOptions
from vitbench.engine.score import score
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench_protocols.segmentation.score import SegmentationMaps

LABELS = np.array([[0, 0, 15, 255], [0, 15, 15, 255]], np.uint8).repeat(4, 0).repeat(4, 1)


def write_map(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels).convert("P")
    image.putdata(labels.ravel().tolist())
    image.putpalette([*range(256)] * 3)
    image.save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "VOC2012"
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (root / "JPEGImages").mkdir()
    for split, names in (("train", ("2007_1", "2007_2")), ("val", ("2008_1", "2008_2"))):
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            Image.new("RGB", (16, 8)).save(root / "JPEGImages" / f"{name}.jpg")
            write_map(root / "SegmentationClass" / f"{name}.png", LABELS)
    Image.new("RGB", (16, 8)).save(root / "JPEGImages" / "2009_9.jpg")  # of no list
    return root


def test_the_lists_name_the_images_and_the_classes_are_vocs(root: Path) -> None:
    val = open_dataset(str(root), "semantic", "val")
    assert list(val.ids) == ["2008_1.jpg", "2008_2.jpg"]
    assert (val.categories[0], val.categories[15], len(val.categories)) == (
        "background",
        "person",
        21,
    )
    assert set(val.void) == {255}
    assert np.array_equal(val[0].target, LABELS)


def test_perfect_maps_score_100_without_any_setting(root: Path, tmp_path: Path) -> None:
    options = RunOptions(data=str(root), results=tmp_path / "results")
    found = score(SegmentationMaps(), root / "SegmentationClass", options).record.primary()
    assert found is not None
    assert found.value == 100.0


def test_a_background_that_is_taken_for_a_person_counts_and_void_does_not(
    root: Path, tmp_path: Path
) -> None:
    wrong = np.where(LABELS == 255, 3, LABELS)
    wrong[0, 0] = 15
    for name in ("2008_1", "2008_2"):
        write_map(tmp_path / "predictions" / f"{name}.png", wrong)
    options = RunOptions(data=str(root), results=tmp_path / "results")
    found = score(SegmentationMaps(), tmp_path / "predictions", options).record.primary()
    assert found is not None
    assert found.value == pytest.approx(100 * (47 / 48 + 48 / 49) / 2)


def test_sbds_maps_are_trained_on_where_they_are(root: Path) -> None:
    assert open_dataset(str(root), "semantic", "train").info.items == 2
    (root / "ImageSets" / "Segmentation" / "train_aug.txt").write_text(
        "/JPEGImages/2009_9.jpg /SegmentationClassAug/2009_9.png\n"
    )
    write_map(root / "SegmentationClassAug" / "2009_9.png", LABELS)
    train = open_dataset(str(root), "semantic", "train")
    assert list(train.ids) == ["2009_9.jpg"]
    assert train.notes == ("train is train_aug.txt with the maps of SegmentationClassAug",)
    assert open_dataset(str(root), "semantic", "val").info.items == 2


def test_a_missing_map_and_a_missing_list_are_named(root: Path) -> None:
    (root / "SegmentationClass" / "2008_2.png").unlink()
    with pytest.raises(DatasetError, match="1 files that") as found:
        open_dataset(str(root), "semantic", "val")
    assert found.value.found == "SegmentationClass/2008_2.png"
    (root / "ImageSets" / "Segmentation" / "val.txt").unlink()
    with pytest.raises(DatasetNotFound, match="no split 'val'"):
        open_dataset(str(root), "semantic", "val")
