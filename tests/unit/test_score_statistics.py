import contextlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench import bootstrap
from vitbench.score_statistics import Items, statistic

CLASSES = 4


def confusion(images: int) -> dict[str, NDArray[Any]]:
    generator = np.random.default_rng(0)
    matrix = generator.integers(0, 50, size=(images, CLASSES, CLASSES))
    matrix[:, 3, :] = 0  # a class that is never true
    matrix[:, :, 3] *= generator.random((images, CLASSES)) < 0.5
    return {
        "ids": np.arange(images).astype(str),
        "matrix": matrix,
        "confusion_hits": np.diagonal(matrix, axis1=1, axis2=2),
        "confusion_predicted": matrix.sum(axis=1),
        "confusion_true": matrix.sum(axis=2),
    }


def test_segmentation_scores_follow_from_summed_pixels_of_a_resample() -> None:
    items = confusion(6)
    counts = np.array([2, 0, 1, 0, 3, 0])
    summed = (items["matrix"] * counts[:, None, None]).sum(axis=0)
    hits, true, predicted = np.diagonal(summed), summed.sum(axis=1), summed.sum(axis=0)
    with np.errstate(invalid="ignore"):
        expected = {
            "miou": 100 * np.nanmean(hits / (true + predicted - hits)),
            "aacc": 100 * hits.sum() / true.sum(),
            "macc": 100 * np.nanmean(hits / true),
        }
    for metric, value in expected.items():
        found = statistic(items, metric)
        assert found is not None
        assert found.of(counts[None].astype(float))[0] == pytest.approx(value)


def test_a_better_segmentation_is_told_from_a_worse_one_on_the_same_images() -> None:
    worse = confusion(60)
    better = {**worse, "confusion_hits": worse["confusion_hits"] + 5}
    for name in ("predicted", "true"):
        better[f"confusion_{name}"] = worse[f"confusion_{name}"] + 5
    found = bootstrap.paired_difference(better, worse, "miou")
    assert found is not None
    assert found.low > 0
    assert bootstrap.score_interval(better, "miou") is not None


def test_a_score_that_is_no_mean_is_not_compared_across_different_images() -> None:
    assert bootstrap.paired_difference(confusion(5), confusion(6), "miou") is None


@pytest.mark.parametrize("metric", ["ap_box", "ap50_box", "ap75_box"])
def test_average_precision_of_a_resample_is_what_pycocotools_gives_on_repeated_images(
    metric: str,
) -> None:
    scene = coco_scene(images=5)
    counts = np.array([2, 0, 1, 3, 1])
    found = statistic(coco_items(scene), metric)
    assert found is not None
    expected = coco_score(scene, np.repeat(np.arange(5), counts))[metric]
    assert found.of(counts[None].astype(float))[0] == pytest.approx(expected, abs=1e-9)


def test_resamples_do_not_depend_on_how_many_are_held_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = coco_items(coco_scene(images=5))
    found = bootstrap.resampled_score(items, "ap_box")
    monkeypatch.setattr(bootstrap, "HELD", 7 * 5)
    again = bootstrap.resampled_score(items, "ap_box")
    assert found is not None
    assert again is not None
    np.testing.assert_array_equal(found.drawn, again.drawn)


def test_an_interval_of_ap_holds_the_score_where_few_images_show_a_category() -> None:
    images = 12
    truths = np.eye(images, dtype=np.int64)  # a category an image
    items = {
        "ids": np.arange(images).astype(str),
        "box_image": np.arange(3),
        "box_category": np.arange(3),
        "box_score": np.array([0.9, 0.8, 0.7]),
        "box_matched": np.ones((3, 10), bool),
        "box_ignored": np.zeros((3, 10), bool),
        "box_truths": truths,
    }
    found = bootstrap.score_interval(items, "ap_box")
    assert found is not None
    assert 0 <= found[0] < 25 < found[1]
    skewed = {**items, "box_truths": truths + 5 * (np.arange(images) > 2)[:, None] * truths}
    again = bootstrap.score_interval(skewed, "ap_box")
    assert again is not None
    assert 0 <= again[0] < 25 < again[1]


def test_an_interval_of_a_difference_may_reach_below_0_where_no_resample_does() -> None:
    images, none = 12, np.zeros(0, dtype=np.int64)
    shared = {"ids": np.arange(images).astype(str), "box_truths": np.eye(images, dtype=np.int64)}
    right = {
        "box_image": np.zeros(1, dtype=np.int64),
        "box_category": np.zeros(1, dtype=np.int64),
        "box_score": np.ones(1),
        "box_matched": np.ones((1, 10), bool),
        "box_ignored": np.zeros((1, 10), bool),
    }
    empty = {
        "box_image": none,
        "box_category": none,
        "box_score": np.zeros(0),
        "box_matched": np.zeros((0, 10), bool),
        "box_ignored": np.zeros((0, 10), bool),
    }
    found = bootstrap.paired_difference(shared | right, shared | empty, "ap_box")
    assert found is not None
    assert found.value == pytest.approx(100 / images)
    assert found.low < 0 < found.high
    assert found.p > 0.05


def coco_scene(images: int) -> dict[str, list[dict[str, Any]]]:
    """Draw boxes of two categories with one crowd, and detections near and far from them."""
    generator = np.random.default_rng(3)
    truths, detections = [], []
    for image in range(images):
        for _ in range(4):
            x, y, w, h = generator.uniform(20, 60, size=4)
            category = int(generator.integers(0, 2))
            crowd = int(generator.random() < 0.1)
            truths.append(_box(image, category, (x, y, w, h)) | {"iscrowd": crowd})
            for _ in range(2):
                moved = tuple(np.array([x, y, w, h]) + generator.normal(0, 4, size=4))
                score = float(generator.random())
                detections.append(_box(image, category, moved) | {"score": score})
    return {"truths": truths, "detections": detections}


def coco_eval(scene: dict[str, list[dict[str, Any]]], images: NDArray[Any]) -> Any:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    parts: dict[str, list[dict[str, Any]]] = {}
    for kind, boxes in scene.items():
        copies = [
            {**box, "image_id": new}
            for new, old in enumerate(images)
            for box in boxes
            if box["image_id"] == old
        ]
        parts[kind] = [{**box, "id": number} for number, box in enumerate(copies, start=1)]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": n} for n in range(len(images))],
        "categories": [{"id": 0}, {"id": 1}],
        "annotations": parts["truths"],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(parts["detections"]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def coco_score(scene: dict[str, list[dict[str, Any]]], images: NDArray[Any]) -> dict[str, float]:
    stats = coco_eval(scene, images).stats
    return dict(zip(("ap_box", "ap50_box", "ap75_box"), 100 * stats[:3], strict=True))


def coco_items(scene: dict[str, list[dict[str, Any]]]) -> Items:
    """Keep of each detection what the protocol would."""
    evaluation = coco_eval(scene, np.arange(5))
    rows = [e for e in evaluation.evalImgs if e and e["aRng"] == evaluation.params.areaRng[0]]
    truths = np.zeros((5, 2))
    for row in rows:
        truths[row["image_id"], row["category_id"]] = np.sum(np.array(row["gtIgnore"]) == 0)
    return {
        "ids": np.arange(5).astype(str),
        "box_image": np.concatenate([[r["image_id"]] * len(r["dtScores"]) for r in rows]).astype(
            int
        ),
        "box_category": np.concatenate([[r["category_id"]] * len(r["dtScores"]) for r in rows]),
        "box_score": np.concatenate([r["dtScores"] for r in rows]),
        "box_matched": np.concatenate([(r["dtMatches"] > 0).T for r in rows]),
        "box_ignored": np.concatenate([r["dtIgnore"].T for r in rows]),
        "box_truths": truths,
    }


def _box(image: int, category: int, box: tuple[float, ...]) -> dict[str, Any]:
    return {
        "image_id": image,
        "category_id": category,
        "bbox": list(box),
        "area": box[2] * box[3],
        "iscrowd": 0,
    }
