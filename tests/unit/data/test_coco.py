"""COCO annotation files: good ones are read, bad ones are named."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitbench.data.coco import open_coco
from vitbench.data.positives import PositiveRule, find_positives
from vitbench.errors import DatasetError, DatasetNotFound

Write = Callable[..., Path]

# Images of 8 x 8 pixels, cut into patches of 4: a grid of 2 x 2, three neighbors each.
READING = PositiveRule(geometry="squash", image_px=8, patch_px=4)
QUARTER = [[0, 0, 4, 0, 4, 4, 0, 4]]  # the upper left patch
HALF = [[0, 0, 8, 0, 8, 4, 0, 4]]  # the upper two patches


def counts(root: Path, reading: PositiveRule = READING) -> list[list[int]]:
    found = find_positives(open_coco(root, "val").target(0), reading).counts
    return [[int(count) for count in row] for row in found]


def break_file(root: Path, text: str) -> Path:
    (root / "annotations" / "instances_val2017.json").write_text(text)
    return root


def test_objects_are_read_with_their_image(write_coco: Write) -> None:
    dataset = open_coco(write_coco({"category_id": 2}, images=2, with_images=True), "val")
    sample = dataset[0]
    assert (dataset.info.items, dataset.info.classes, dataset.info.kind) == (2, 2, "instances")
    assert sample.id == "000000000001.jpg"
    assert sample.image.size == (8, 8)
    assert [item.category for item in sample.target.items] == [2]
    assert dataset.categories == {1: "thing 1", 2: "thing 2"}


def test_annotations_without_images_are_counted(write_coco: Write) -> None:
    root = write_coco({"segmentation": QUARTER})
    assert counts(root) == [[0, 2], [2, 2]]


def test_an_image_without_annotations_is_one_background(write_coco: Write) -> None:
    assert counts(write_coco()) == [[3, 3], [3, 3]]


def test_crowd_run_lengths_are_painted(write_coco: Write) -> None:
    upper = {"size": [8, 8], "counts": [0, *[4, 4] * 8]}  # in each column four in, four out
    crowd = {"segmentation": upper, "iscrowd": 1}
    assert counts(write_coco(crowd)) == [[1, 1], [1, 1]]
    without = PositiveRule(geometry="squash", image_px=8, patch_px=4, crowd=False)
    assert counts(write_coco(crowd), without) == [[3, 3], [3, 3]]


@pytest.mark.parametrize(
    "polygons", [[], [[1, 1, 3, 3]], [[1, 1, 3, 3, 1, 1]], [[2, 2, 2, 2, 2, 2]]]
)
def test_degenerate_polygons_cover_nothing(write_coco: Write, polygons: list[list[int]]) -> None:
    assert counts(write_coco({"segmentation": polygons})) == [[3, 3], [3, 3]]


def test_what_lies_outside_the_image_is_cut_off(write_coco: Write) -> None:
    wide = [[-90, -90, 4, -90, 4, 4, -90, 4]]
    object_ = {"segmentation": wide, "bbox": [-90, -90, 94, 94]}
    assert counts(write_coco(object_)) == [[0, 2], [2, 2]]


def test_a_missing_segmentation_covers_nothing(write_coco: Write) -> None:
    assert counts(write_coco({"segmentation": None})) == [[3, 3], [3, 3]]


def test_category_ids_with_gaps_are_kept(write_coco: Write) -> None:
    root = write_coco(
        {"segmentation": HALF, "category_id": 90},
        {"segmentation": QUARTER, "category_id": 13},
        categories=(13, 90),
    )
    assert counts(root) == [[0, 0], [1, 1]]
    assert set(open_coco(root, "val").categories) == {13, 90}


def test_category_zero_is_no_background(write_coco: Write) -> None:
    root = write_coco({"segmentation": QUARTER, "category_id": 0}, categories=(0, 1))
    assert counts(root) == [[0, 2], [2, 2]]
    assert set(open_coco(root, "val").categories) == {1, 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"images": [', "can't be read"),
        ("[]", "can't be read"),
        ('{"images": []}', "can't be read"),
        ('{"images": [], "annotations": [], "categories": []}', "lists no image"),
    ],
)
def test_files_that_are_no_annotations_are_named(
    write_coco: Write, text: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=rf"instances_val2017\.json.* {message}"):
        open_coco(break_file(write_coco(), text), "val")


def test_the_place_of_a_wrong_value_is_told(write_coco: Write) -> None:
    with pytest.raises(DatasetError, match=r"annotations\.1\.image_id"):
        open_coco(write_coco({"id": 1}, {"id": 2, "image_id": "first"}), "val")


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"image_id": 99}, "image ids that it doesn't list"),
        ({"category_id": 99}, "category ids that it doesn't list"),
        ({"segmentation": [[0, 0, 4, 0, 4, 4, 0]]}, "half a point"),
        ({"segmentation": [[0, 0, 4, 0, 4, float("nan")]]}, "can't be read"),
    ],
)
def test_annotations_that_contradict_the_file_are_refused(
    write_coco: Write, annotation: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_coco(write_coco(annotation), "val")


def test_an_annotation_id_may_not_occur_twice(write_coco: Write) -> None:
    with pytest.raises(DatasetError, match="annotation ids twice"):
        open_coco(write_coco({"id": 3}, {"id": 3}), "val")


def test_file_names_stay_in_their_folder(write_coco: Write) -> None:
    root = write_coco()
    file = root / "annotations" / "instances_val2017.json"
    document = json.loads(file.read_text())
    document["images"][0]["file_name"] = "../../secret.jpg"
    file.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="outside its folder"):
        open_coco(root, "val")


def test_no_annotation_file_tells_what_is_there(write_coco: Write) -> None:
    with pytest.raises(DatasetNotFound, match=r"instances_val2017\.json"):
        open_coco(write_coco(), "train")


def test_a_resized_image_is_refused(write_coco: Write) -> None:
    root = write_coco(with_images=True)
    other = write_coco(size=(16, 8))
    assert root == other
    with pytest.raises(DatasetError, match="not of the size"):
        open_coco(root, "val")[0]


@pytest.mark.data
def test_real_crowds_and_gaps_are_read(real_data: Path) -> None:
    dataset = open_coco(real_data / "coco", "val")
    objects = [item for index in range(len(dataset)) for item in dataset.target(index).items]
    assert (len(dataset), len(objects)) == (158, 1424)
    assert sum(item.crowd for item in objects) == 16
    assert max(dataset.categories) == 90


@pytest.mark.data
def test_real_images_have_the_published_order_of_positives(real_data: Path) -> None:
    dataset = open_coco(real_data / "coco", "val")
    means = [find_positives(dataset.target(index), PositiveRule()).mean for index in range(158)]
    assert np.mean(means) == pytest.approx(4.4437, abs=1e-4)
    assert np.std(means) == pytest.approx(1.1089, abs=1e-4)


FAR = [[0, 0, 1e9, 0, 1e9, 1e9]]


@pytest.mark.parametrize(
    ("annotation", "message"),
    [
        ({"bbox": [0, 0, -3, 4]}, r"negative side(.|\n)*annotation 1"),
        ({"bbox": [0, 0, 1e200, 4]}, r"box lies beyond(.|\n)*annotation 1"),
        ({"bbox": [0, 0, float("nan"), 4]}, r"can't be read(.|\n)*malformed"),
        ({"bbox": [0, 0, "wide", 4]}, r"annotations\.0\.bbox\.2"),
        ({"segmentation": FAR}, r"annotations\.0\.segmentation\.0\.2: .* <= 100000"),
        ({"segmentation": [[0, 0, 1, 1, 2]]}, r"half a point(.|\n)*annotation 1"),
        ({"area": -1}, r"annotations\.0\.area: .* >= 0"),
    ],
)
def test_what_can_not_be_so_of_an_object_is_named(
    write_coco: Write, annotation: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        open_coco(write_coco(annotation), "val")


@pytest.mark.parametrize("side", [2147483648, 65_000])
def test_images_larger_than_any_are_named(write_coco: Write, side: int) -> None:
    with pytest.raises(DatasetError, match=r"larger than any(.|\n)*image 1"):
        open_coco(write_coco(size=(side, side)), "val")


def test_an_outline_that_is_longer_than_its_image_can_hold_is_named(write_coco: Write) -> None:
    zigzag = [[0, 0, 1e5, 1e5] * 1000]
    dataset = open_coco(write_coco({"segmentation": zigzag}), "val")
    with pytest.raises(DatasetError, match=r"annotation 1 has an outline that is too long"):
        find_positives(dataset.target(0), READING)


@pytest.mark.parametrize(
    "counts", [[1 << 62, -(1 << 62), 64], [2**70], [], "o" * 40, "ooooooooo0" * 9]
)
def test_absurd_run_lengths_are_named(write_coco: Write, counts: object) -> None:
    runs = {"size": [8, 8], "counts": counts}
    with pytest.raises(DatasetError, match=r"annotation"):
        find_positives(open_coco(write_coco({"segmentation": runs}), "val").target(0), READING)


def test_more_categories_than_can_be_scored_are_named(write_coco: Write) -> None:
    with pytest.raises(DatasetError, match="more than 20000 categories"):
        open_coco(write_coco(categories=tuple(range(1, 20_002))), "val")


@pytest.mark.parametrize("categories", [(1, 2**31 + 5), (1, 2**70)])
def test_ids_that_no_table_holds_are_named(write_coco: Write, categories: tuple[int, ...]) -> None:
    with pytest.raises(DatasetError, match="category ids"):
        open_coco(write_coco(categories=categories), "val")


@pytest.mark.parametrize("name", ["", ".", "a\0b.jpg", "../a.jpg", "/etc/a.jpg", "a" * 300])
def test_file_names_that_are_none_are_named(write_coco: Write, name: str) -> None:
    root = write_coco()
    document = json.loads((root / "annotations/instances_val2017.json").read_text())
    document["images"][0]["file_name"] = name
    with pytest.raises(DatasetError, match="outside its folder"):
        open_coco(break_file(root, json.dumps(document)), "val")


def test_boxes_and_areas_come_from_polygons_and_from_run_lengths(write_coco: Write) -> None:
    runs = {"size": [8, 8], "counts": [9, 2, 6, 2, 45]}  # rows 1 and 2 of columns 1 and 2
    root = write_coco({"segmentation": HALF}, {"segmentation": runs})
    document = json.loads((root / "annotations/instances_val2017.json").read_text())
    for one in document["annotations"]:
        del one["bbox"], one["area"]
    dataset = open_coco(break_file(root, json.dumps(document)), "val")
    items = dataset.target(0).items
    assert [item.box for item in items] == [(0, 0, 8, 4), (1, 1, 2, 2)]
    assert [item.area for item in items] == [32, 4]
    assert len(dataset.notes) == 2


def test_outlines_of_a_file_that_was_changed_meanwhile_are_refused(write_coco: Write) -> None:
    dataset = open_coco(write_coco({"segmentation": QUARTER}), "val")
    write_coco({"segmentation": HALF})
    with pytest.raises(DatasetError, match="was changed while it was in use"):
        dataset.target(0)


def test_each_image_has_its_own_objects_in_the_order_of_the_file(write_coco: Write) -> None:
    places = [2, 1, 3, 2, 1, 2]
    objects = [
        {"image_id": image, "bbox": [number, 0, 1, 1], "segmentation": [[number] * 6]}
        for number, image in enumerate(places)
    ]
    root = write_coco(*objects, images=4)
    file = root / "annotations" / "instances_val2017.json"
    file.write_text(json.dumps(json.loads(file.read_text()), indent=2))  # white space between them
    dataset = open_coco(root, "val")
    found = [[item.box[0] for item in dataset.target(index).items] for index in range(4)]
    assert found == [[1, 4], [0, 3, 5], [2], []]
    for index in range(4):
        assert all(item.segmentation == [[item.box[0]] * 6] for item in dataset.target(index).items)
    again = pickle.loads(pickle.dumps(dataset))  # as worker processes get it
    assert again.subset([2]).target(0) == dataset.target(2)
