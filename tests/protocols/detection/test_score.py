"""Anybody's results file: what COCO's own code says, and what is wrong is named."""

import contextlib
import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.protocols.detection.conftest import read_annotations, write_annotations, write_coco
from vitbench.api import (
    Evaluation,
    RunOptions,
    errors,
    read_items,
    score,
)
from vitbench.kit import statistic as statistic_of
from vitbench_protocols.detection.metrics import LEVELS, Engine
from vitbench_protocols.detection.score import CocoResults

Entry = dict[str, Any]


def scored(path: Path, data: Path, results: Path, **settings: Any) -> Evaluation:
    return score(CocoResults(**settings), path, RunOptions(data=str(data), results=results))


def values(found: Evaluation) -> dict[str, float | None]:
    return {one.metric: one.value for one in found.record.scores}


def truth_as_results(data: Path, split: str = "val") -> list[Entry]:
    """Return every object that is no crowd as a detection, with random scores."""
    from pycocotools import mask as coco_mask

    document = read_annotations(data, split)
    sizes = {image["id"]: (image["height"], image["width"]) for image in document["images"]}
    generator = np.random.default_rng(0)
    found = []
    for one in document["annotations"]:
        if one["iscrowd"]:
            continue
        runs = one["segmentation"]
        if isinstance(runs, list):
            runs = coco_mask.merge(coco_mask.frPyObjects(runs, *sizes[one["image_id"]]))
            runs["counts"] = runs["counts"].decode()
        found.append(
            {
                "image_id": one["image_id"],
                "category_id": one["category_id"],
                "bbox": one["bbox"],
                "segmentation": runs,
                "score": float(generator.random()),
            }
        )
    return found


def with_random_boxes(entries: list[Entry]) -> list[Entry]:
    """Add as many detections of higher score, each a moved copy of another."""
    generator = np.random.default_rng(1)
    added = []
    for one in entries:
        moved = np.array(one["bbox"]) + np.append(generator.normal(0, 6, 2), (0, 0))
        added.append({**one, "bbox": moved.tolist(), "score": 1 + float(generator.random())})
    for one, other in zip(added, [*added[1:], added[0]], strict=True):
        if one["segmentation"]["size"] == other["segmentation"]["size"]:
            one["segmentation"] = other["segmentation"]
    return [*entries, *added]


def with_other_categories(entries: list[Entry]) -> list[Entry]:
    """Permute the categories of the detections."""
    numbers = sorted({one["category_id"] for one in entries})
    following = dict(zip(numbers, [*numbers[1:], numbers[0]], strict=True))
    return [{**one, "category_id": following[one["category_id"]]} for one in entries]


def coarse(entries: list[Entry]) -> list[Entry]:
    """Give many detections one score."""
    return [{**one, "score": round(one["score"], 1)} for one in with_random_boxes(entries)]


def by_pycocotools(data: Path, split: str, entries: list[Entry]) -> dict[str, float]:
    """Return what pycocotools itself says, called as its documentation shows."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    found = {}
    for kind, name, part in (("box", "bbox", "bbox"), ("mask", "segm", "segmentation")):
        alone = [
            {key: one[key] for key in ("image_id", "category_id", "score", part)} for one in entries
        ]
        with contextlib.redirect_stdout(io.StringIO()):
            truth = COCO(str(data / "annotations" / f"instances_{split}2017.json"))
            evaluation = COCOeval(truth, truth.loadRes(alone), name)
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        for (level, *_), value in zip(LEVELS, evaluation.stats[:6], strict=True):
            found[f"{level}_{kind}"] = 100 * value
    return found


def write(entries: list[Entry], path: Path) -> Path:
    path.write_text(json.dumps(entries))
    return path


def test_the_truth_scores_100_whatever_the_scores_and_leaves_what_a_reader_needs(
    scenes: Path, tmp_path: Path
) -> None:
    path = write(truth_as_results(scenes), tmp_path / "truth.json")
    found = scored(path, scenes, tmp_path / "results")
    there = {name: value for name, value in values(found).items() if value is not None}
    assert there == {name: pytest.approx(100) for name in there}
    assert {"ap_box", "ap50_mask", "aps_box"} <= set(there)
    assert "apl_box" not in there  # no object is that large
    record, folder = found.record, tmp_path / "results" / "coco"
    drawn = {name for name in record.artifacts if name.startswith("prediction ")}
    assert drawn
    assert {*record.artifacts} - drawn == {"categories"}
    text = (folder / record.artifacts["categories"]).read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["name"] for row in rows] == ["brick", "grass", "never there"]
    assert [row["ap_mask"] for row in rows] == ["100.00", "100.00", ""]


@pytest.mark.parametrize("engine", ["pycocotools", "faster-coco-eval"])
@pytest.mark.parametrize("change", [with_random_boxes, with_other_categories, coarse])
def test_scores_are_exactly_those_of_pycocotools(
    scenes: Path, tmp_path: Path, change: Callable[[list[Entry]], list[Entry]], engine: Engine
) -> None:
    entries = change(truth_as_results(scenes))
    found = scored(write(entries, tmp_path / "r.json"), scenes, tmp_path / "results", engine=engine)
    expected = by_pycocotools(scenes, "val", entries)
    for name, value in values(found).items():
        assert value == pytest.approx(expected[name], abs=1e-9) or (
            value is None and expected[name] == -100
        )
    items = read_items(found.record, tmp_path / "results")
    for name in ("ap_box", "ap50_box", "ap75_box", "ap_mask", "ap50_mask", "ap75_mask"):
        again = statistic_of(items, name)
        assert again is not None
        assert again.of(np.ones((1, 4)))[0] == pytest.approx(expected[name], abs=1e-9)


def test_nothing_detected_scores_0(scenes: Path, tmp_path: Path) -> None:
    found = scored(write([], tmp_path / "none.json"), scenes, tmp_path / "results")
    assert {value for value in values(found).values() if value is not None} == {0.0}


def test_the_order_of_the_entries_does_not_matter(scenes: Path, tmp_path: Path) -> None:
    entries = with_random_boxes(truth_as_results(scenes))
    first = scored(write(entries, tmp_path / "a.json"), scenes, tmp_path / "results")
    second = scored(write(entries[::-1], tmp_path / "b.json"), scenes, tmp_path / "results")
    assert values(first) == values(second)


def test_boxes_alone_and_masks_alone_are_scored_as_what_they_are(
    scenes: Path, tmp_path: Path
) -> None:
    entries = truth_as_results(scenes)
    for part, ap_mask in (("segmentation", None), ("bbox", pytest.approx(100))):
        alone = [{key: value for key, value in one.items() if key != part} for one in entries]
        path = write(alone, tmp_path / f"without_{part}.json")
        found = values(scored(path, scenes, tmp_path / "results"))
        assert found["ap_box"] == pytest.approx(100)  # a mask has a box
        assert found["ap_mask"] == ap_mask


def test_annotations_without_images_are_enough(scenes: Path, tmp_path: Path) -> None:
    shutil.copytree(scenes / "annotations", tmp_path / "data" / "annotations")
    path = write(truth_as_results(scenes), tmp_path / "truth.json")
    found = scored(path, tmp_path / "data", tmp_path / "results")
    assert values(found)["ap_box"] == pytest.approx(100)
    assert sorted(found.record.artifacts) == ["categories"]


def test_objects_without_outline_or_area_count_as_pycocotools_counts_them(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data")
    document = read_annotations(data, "val")
    entries = truth_as_results(data)
    annotations = document["annotations"]
    del annotations[0]["segmentation"]
    annotations[1]["bbox"] = [5, 5, 0, 9]
    write_annotations(data, "val", document["images"], annotations)
    found = scored(write(entries, tmp_path / "r.json"), data, tmp_path / "results")
    boxes = {name: value for name, value in by_boxes(data, entries).items() if value >= 0}
    assert {name: values(found)[name] for name in boxes} == pytest.approx(boxes, abs=1e-9)
    assert 0 < (values(found)["ap_mask"] or 0) < 100
    assert "1 of 10 objects of data/val have no outline" in " ".join(found.record.notes)


def by_boxes(data: Path, entries: list[Entry]) -> dict[str, float]:
    document = read_annotations(data, "val")
    for one in document["annotations"]:
        one.setdefault("segmentation", [[0, 0, 1, 0, 1, 1]])  # pycocotools' loader wants one
    write_annotations(data / "copy", "val", document["images"], document["annotations"])
    found = by_pycocotools(data / "copy", "val", entries)
    return {name: value for name, value in found.items() if name.endswith("box")}


def test_categories_may_begin_at_0(scenes: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(scenes, data)
    path = data / "annotations" / "instances_val2017.json"
    path.write_text(
        path.read_text().replace('_id": 2,', '_id": 0,').replace('{"id": 2,', '{"id": 0,')
    )
    found = scored(write(truth_as_results(data), tmp_path / "r.json"), data, tmp_path / "results")
    assert values(found)["ap_box"] == pytest.approx(100)


@pytest.mark.parametrize("part", ["area", "bbox", "iscrowd"])
def test_what_the_truth_does_not_say_comes_from_its_masks(tmp_path: Path, part: str) -> None:
    data = write_coco(tmp_path / "data")
    document = read_annotations(data, "val")
    entries = with_random_boxes(truth_as_results(data))
    for one in document["annotations"]:
        one["iscrowd"] = 0
        one["area"] = true_area(one, document["images"])
    write_annotations(data, "val", document["images"], document["annotations"])
    expected = by_pycocotools(data, "val", entries)
    for one in document["annotations"]:
        del one[part]
    write_annotations(data, "val", document["images"], document["annotations"])
    found = scored(write(entries, tmp_path / "r.json"), data, tmp_path / "results")
    there = {name: value for name, value in values(found).items() if value is not None}
    assert there == {name: pytest.approx(expected[name], abs=1e-9) for name in there}
    told = " ".join(found.record.notes)
    word = {"area": "area", "bbox": "box", "iscrowd": ""}[part]
    assert (f"10 of 10 objects of instances_val2017.json have no {word}" in told) == bool(word)


def true_area(one: Entry, images: list[Entry]) -> float:
    from pycocotools import mask as coco_mask

    (size,) = ((im["height"], im["width"]) for im in images if im["id"] == one["image_id"])
    return float(coco_mask.area(coco_mask.frPyObjects(one["segmentation"], *size)).sum())


def test_an_object_without_box_and_mask_is_refused(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data")
    document = read_annotations(data, "val")
    del document["annotations"][3]["bbox"], document["annotations"][3]["segmentation"]
    write_annotations(data, "val", document["images"], document["annotations"])
    path = write(truth_as_results(write_coco(tmp_path / "whole")), tmp_path / "r.json")
    with pytest.raises(errors.DatasetError, match=r"without box and mask(.|\n)*annotation 1004"):
        scored(path, data, tmp_path / "results")


def test_results_for_some_images_count_over_all_of_them_and_say_so(
    scenes: Path, tmp_path: Path
) -> None:
    entries = with_random_boxes(truth_as_results(scenes))
    half = [one for one in entries if one["image_id"] in (200, 214)]
    found = scored(write(half, tmp_path / "r.json"), scenes, tmp_path / "results")
    expected = by_pycocotools(scenes, "val", half)
    there = {name: value for name, value in values(found).items() if value is not None}
    assert there == {name: pytest.approx(expected[name], abs=1e-9) for name in there}
    assert "2 of 4 images have no detection" in " ".join(found.record.notes)
    whole = scored(write(entries, tmp_path / "w.json"), scenes, tmp_path / "results")
    assert not whole.record.notes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y, w, h: [x, y, x + w, y + h], "left, top, right, bottom"),
        (lambda x, y, w, h: [x + w / 2, y + h / 2, w, h], "center x, center y"),
    ],
)
def test_boxes_of_another_form_are_scored_as_they_are_and_said(
    scenes: Path, tmp_path: Path, change: Callable[..., list[float]], words: str
) -> None:
    entries = [
        {key: value for key, value in one.items() if key != "segmentation"}
        | {"bbox": change(*one["bbox"])}
        for one in truth_as_results(scenes)
    ]
    found = scored(write(entries, tmp_path / "r.json"), scenes, tmp_path / "results")
    assert (values(found)["ap_box"] or 0) < 50
    assert words in " ".join(found.record.notes)


def test_categories_that_do_not_agree_are_said(scenes: Path, tmp_path: Path) -> None:
    entries = with_other_categories(truth_as_results(scenes))
    found = scored(write(entries, tmp_path / "r.json"), scenes, tmp_path / "results")
    assert "have its category: is category_id the id" in " ".join(found.record.notes)


def test_categories_counted_from_0_or_1_are_said_where_the_ids_allow_them(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data")
    path = data / "annotations/instances_val2017.json"
    text = path.read_text()
    for old, new in (
        (2, 1),
        (7, 3),
        (9, 2),
    ):  # in the order of their ids: brick, never there, grass
        text = text.replace(f'category_id": {old},', f'category_id": {new}0,')
        text = text.replace(f'{{"id": {old}, "name"', f'{{"id": {new}0, "name"')
    path.write_text(text)
    entries = truth_as_results(data)
    counted = [{**one, "category_id": one["category_id"] // 10 - 1} for one in entries]
    with pytest.raises(errors.DatasetError, match=r"10 \('brick'\) for 0") as caught:
        scored(write(counted, tmp_path / "r.json"), data, tmp_path / "results")
    assert "count the categories from 0" in caught.value.hint


@pytest.mark.data
def test_coco_categories_counted_from_1_are_said(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "coco"
    numbers = [one["id"] for one in read_annotations(data, "val")["categories"]]
    entries = [
        {**one, "category_id": 1 + numbers.index(one["category_id"])}
        for one in truth_as_results(data)
    ]
    known = [one for one in entries if one["category_id"] in numbers and one["category_id"] > 11]
    found = scored(write(known, tmp_path / "r.json"), data, tmp_path / "results")
    assert "category_id counts the categories from 1" in " ".join(found.record.notes)


def changed(**parts: Any) -> Callable[[list[Entry]], Any]:
    return lambda entries: [{**entries[0], **parts}, *entries[1:]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entries: {"annotations": entries}, "can't be read as COCO's"),
        (changed(score="high"), r"0\.score"),
        (changed(score=None), r"0\.score"),
        (changed(score=float("nan")), r"0\.score"),
        (lambda entries: [{k: v for k, v in entries[0].items() if k != "score"}], r"0\.score"),
        (changed(bbox=[0, 0, float("inf"), 3]), "can't be read as COCO's"),
        (changed(bbox=[5, 5, -20, 20]), "can't be read as COCO's"),
        (changed(bbox=[0, 0, 1e308, 3]), "can't be read as COCO's"),
        (changed(bbox=[0, 0, 3]), r"0\.bbox"),
        (changed(image_id=5), "image ids that the annotations of .*/val lack"),
        (changed(category_id=5), "category ids that the annotations of .*/val lack"),
        (changed(segmentation={"size": [3, 3], "counts": [9]}), "don't fit its image"),
        (changed(segmentation={"size": [64, 80], "counts": "PPzz~"}), "don't fit its image"),
        (changed(bbox=None), "some entries .* have no bbox"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(
    scenes: Path, tmp_path: Path, change: Callable[[list[Entry]], Any], message: str
) -> None:
    path = write(change(truth_as_results(scenes)), tmp_path / "r.json")
    with pytest.raises(errors.DatasetError, match=message):
        scored(path, scenes, tmp_path / "results")


def test_a_folder_is_no_results_file(scenes: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.DatasetError, match="is no results file"):
        score(CocoResults(), scenes, RunOptions(data=str(scenes), results=tmp_path / "results"))


def test_results_of_another_split_are_refused(scenes: Path, tmp_path: Path) -> None:
    path = write(truth_as_results(scenes, "train"), tmp_path / "r.json")
    with pytest.raises(errors.DatasetError, match="--split train"):
        scored(path, scenes, tmp_path / "results")
    found = scored(path, scenes, tmp_path / "results", split="train")
    assert values(found)["ap_box"] == pytest.approx(100)


@pytest.mark.data
@pytest.mark.parametrize("change", [with_random_boxes, with_other_categories, coarse])
def test_both_engines_equal_pycocotools_on_real_annotations(
    real_data: Path, tmp_path: Path, change: Callable[[list[Entry]], list[Entry]]
) -> None:
    data = real_data / "coco"
    entries = change(truth_as_results(data))
    path = write(entries, tmp_path / "r.json")
    expected = by_pycocotools(data, "val", entries)
    engines: tuple[Engine, ...] = ("pycocotools", "faster-coco-eval")
    for engine in engines:
        found = scored(path, data, tmp_path / engine, engine=engine)
        assert values(found) == pytest.approx(expected, abs=1e-9)
        items = read_items(found.record, tmp_path / engine)
        for name in ("ap_box", "ap50_box", "ap75_mask"):
            again = statistic_of(items, name)
            assert again is not None
            assert again.of(np.ones((1, 158)))[0] == pytest.approx(expected[name], abs=1e-9)


@pytest.mark.data
def test_real_truth_scores_100(real_data: Path, tmp_path: Path) -> None:
    data = real_data / "coco"
    path = write(truth_as_results(data), tmp_path / "truth.json")
    found = scored(path, data, tmp_path / "results", engine="faster-coco-eval")
    assert values(found) == {name: pytest.approx(100) for name in values(found)}
