"""Annotations say what is in the pictures, in the official layouts."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vitbench.data.synthetic import CLASS_NAMES, LABEL_NAMES, synthetic_folder
from vitbench.data.synthetic.outlines import polygons, run_lengths


def _read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.array(image)


def _coco(root: Path, split: str) -> Any:
    from pycocotools.coco import COCO

    with redirect_stdout(io.StringIO()):
        return COCO(str(root / "annotations" / f"instances_{split}2017.json"))


@pytest.mark.parametrize("split", ["train", "val"])
def test_boxes_areas_polygons_and_run_lengths_agree_for_pycocotools(split: str) -> None:
    coco = _coco(synthetic_folder("instances"), split)
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation).astype(bool)
        assert mask.sum() == annotation["area"]
        rows, columns = np.nonzero(mask)
        left, top, width, height = annotation["bbox"]
        assert (left, left + width - 1) == (columns.min(), columns.max())
        assert (top, top + height - 1) == (rows.min(), rows.max())


@pytest.mark.parametrize("split", ["train", "val"])
def test_instances_have_all_that_cocos_have(split: str) -> None:
    root = synthetic_folder("instances")
    coco = _coco(root, split)
    forms = {
        (annotation["iscrowd"], type(annotation["segmentation"]))
        for annotation in coco.anns.values()
    }
    assert forms == {(0, list), (0, dict), (1, dict)}
    assert sum(not coco.imgToAnns[image] for image in coco.imgs) == 1
    assert {annotation["category_id"] for annotation in coco.anns.values()} == set(coco.cats)
    for image in coco.imgs.values():
        pixels = _read(root / f"{split}2017" / image["file_name"])
        assert pixels.shape == (image["height"], image["width"], 3)


def test_things_of_a_picture_share_no_pixel() -> None:
    coco = _coco(synthetic_folder("instances"), "val")
    for image in coco.imgs:
        masks = [coco.annToMask(annotation) for annotation in coco.imgToAnns[image]]
        assert not masks or np.max(np.sum(masks, axis=0)) == 1


def test_a_thing_seen_through_a_hole_is_a_hole() -> None:
    mask = np.zeros((7, 9), dtype=bool)
    mask[1:6, 2:8] = True
    assert polygons(mask) == [[2, 1, 8, 1, 8, 6, 2, 6]]
    mask[3, 4] = False
    assert polygons(mask) is None
    assert run_lengths(mask) == {
        "counts": [15, 5, 2, 5, 2, 2, 1, 2, 2, 5, 2, 5, 2, 5, 8],
        "size": [7, 9],
    }


def test_pixels_that_touch_at_a_corner_are_two_polygons() -> None:
    mask = np.eye(2, dtype=bool)
    assert polygons(mask) == [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]
    assert run_lengths(mask)["counts"] == [0, 1, 2, 1]


def test_index_maps_use_every_label_and_fit_their_pictures() -> None:
    root = synthetic_folder("semantic")
    for split in ("training", "validation"):
        seen = set()
        for path in (root / "annotations" / split).iterdir():
            labels = _read(path)
            assert _read(root / "images" / split / path.name).shape == (*labels.shape, 3)
            seen |= set(np.unique(labels).tolist())
        assert seen == set(range(len(LABEL_NAMES)))


def test_clips_show_every_thing_in_the_first_frame_and_one_leaves() -> None:
    root = synthetic_folder("clips")
    names = (root / "ImageSets" / "2017" / "val.txt").read_text().split()
    counts = []
    for name in names:
        masks = [_read(path) for path in sorted((root / "Annotations" / "480p" / name).iterdir())]
        frames = sorted((root / "JPEGImages" / "480p" / name).iterdir())
        assert [_read(path).shape for path in frames] == [(*mask.shape, 3) for mask in masks]
        counts.append(masks[0].max())
        assert set(np.unique(masks[0])) == set(range(counts[-1] + 1))
        last = set(np.unique(masks[-1]).tolist())
        assert (counts[-1] in last) == (name != "three-one-leaves")
    assert counts == [1, 2, 3, 4]


def test_folders_hold_the_same_number_of_every_class() -> None:
    root = synthetic_folder("classification")
    for split, count in (("train", 150), ("val", 50)):
        folders = {path.name: len(list(path.iterdir())) for path in (root / split).iterdir()}
        assert folders == dict.fromkeys(CLASS_NAMES, count)


def test_the_annotation_files_are_plain_json() -> None:
    text = (synthetic_folder("instances") / "annotations" / "instances_val2017.json").read_text()
    assert [category["id"] for category in json.loads(text)["categories"]][-2:] == [10, 13]
