"""Whole runs on small scenes: what is learned, what is left, what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.protocols.detection.conftest import read_annotations, write_annotations, write_coco
from vitbench.api import (
    Evaluation,
    RunOptions,
    errors,
    evaluate,
    load_backbone,
    read_items,
    resolve,
    score,
)
from vitbench.kit import statistic
from vitbench.testing.conformance import check_protocol
from vitbench_protocols.detection import Detection
from vitbench_protocols.detection.score import CocoResults
from vitbench_protocols.detection.settings import Learning, MaskRCNN
from vitbench_protocols.detection.views import Views

BACKBONE = "random:vit_mini_patch8_64"
LEARNING = Learning(epochs=2, drops=(1,), batch_size=2, learning_rate=1e-3, warmup_steps=2)
SHORT = Detection(
    network=MaskRCNN(channels=16, hidden=32, proposals=32),
    views=Views(short=(64,), long=128, crop=()),
    drop_path=(0.0, 0.0),
    learning=LEARNING,
    short=64,
    long=128,
)


def run(data: Path, results: Path, protocol: Detection, name: str = BACKBONE) -> Evaluation:
    options = RunOptions(data=str(data), results=results, workers=2)
    return evaluate(protocol, resolve(name), options)


def values(found: Evaluation) -> dict[str, float | None]:
    return {one.metric: one.value for one in found.record.scores}


def test_a_run_leaves_what_a_reader_needs(scenes: Path, tmp_path: Path) -> None:
    found = run(scenes, tmp_path, SHORT)
    folder, record = tmp_path / "detection", found.record
    drawn = {name for name in record.artifacts if name.startswith("prediction ")}
    assert len(drawn) > 1  # images, the same for every backbone
    assert {*record.artifacts} - drawn == {"categories", "curves", "journal", "results"}
    assert all((folder / path).exists() for path in record.artifacts.values())
    rows = (folder / record.artifacts["journal"]).read_text().splitlines()
    last = json.loads(rows[-1])
    assert last["step"] == 6
    assert {"ap_box", "ap50_box", "ap_mask", "ap50_mask"} < set(last)
    written = folder / record.artifacts["results"]
    options = RunOptions(data=str(scenes), results=tmp_path / "again")
    scored = score(CocoResults(), written, options)
    assert values(scored) == values(found)
    items = read_items(record, tmp_path)
    again = statistic(items, "ap_mask")
    assert again is not None
    assert again.of(np.ones((1, 4)))[0] == pytest.approx(values(found)["ap_mask"], abs=1e-9)


def test_a_detector_learns_its_images_by_heart(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", train=3, val=1)
    shutil.copytree(data / "train2017", data / "val2017", dirs_exist_ok=True)
    document = read_annotations(data, "train")
    write_annotations(data, "val", document["images"], document["annotations"])
    learning = replace(LEARNING, epochs=60, drops=(45,), batch_size=3, learning_rate=2e-3,
                       check_epochs=0)  # fmt: skip
    found = run(data, tmp_path, replace(SHORT, learning=learning))
    # so short a training ends 15 points higher or lower with the last digit of its first step
    assert (values(found)["ap_box"] or 0) > 25
    assert (values(found)["ap_mask"] or 0) > 25


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        (BACKBONE, {"freeze": True, "adapter": "simple-pyramid"}),
        (BACKBONE, {"learning": replace(LEARNING, epochs=1, optimizer="sgd", accumulate=2)}),
        ("random:swin_mini_patch4_window7_224", {}),
    ],
)
def test_other_ways_run_from_end_to_end_and_leave_the_lent_backbone_alone(
    scenes: Path, tmp_path: Path, name: str, changes: dict[str, Any]
) -> None:
    checkpoint = resolve(name)
    before = {key: value.clone() for key, value in checkpoint.state.items()}
    learning = replace(LEARNING, epochs=1, check_epochs=0)
    found = run(scenes, tmp_path, replace(SHORT, **{"learning": learning, **changes}), name)
    assert values(found)["ap_box"] is not None
    assert all(torch.equal(before[key], value) for key, value in checkpoint.state.items())


def test_the_protocol_passes_what_plug_ins_must_pass() -> None:
    settings: dict[str, Any] = {
        "network": SHORT.network,
        "views": SHORT.views,
        "learning": replace(LEARNING, epochs=1, check_epochs=0),
        "short": 64,
        "long": 128,
    }
    findings = list(check_protocol(Detection, limit=5, **settings))
    assert {finding.problem for finding in findings} == {""}


def test_the_released_eight_heads_serve_a_vit_small_only() -> None:
    release = Detection(**Detection.presets["selfpatch-release"])
    tiny = load_backbone(resolve("random:vit_tiny_patch16_64"))  # 3 heads
    with pytest.raises(errors.SettingError, match=r"192 wide and has 3(.|\n)*correct-heads"):
        release.check(tiny)
    Detection(heads=8).check(tiny)
    small = load_backbone(resolve("random:vit_small_patch16_64"))
    release.check(small)


def test_presets_hold_the_published_settings() -> None:
    release = Detection(**Detection.presets["selfpatch-release"])
    right = Detection(**Detection.presets["correct-heads"])
    assert (release.heads, right.heads) == (8, 0)
    assert replace(release, heads=0, heads_width=0) == right
    course = right.learning.course(117_266, {})
    assert course.steps == 12 * 14_659
    assert course.batch_size == 8
    assert course.undecayed == ("pos_embed", "cls_token", "norm")
    assert right.views.short == (480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800)
    rates = {step: course.rate.at(_progress(step)) for step in (0, 500, 1000, 8 * 14_659)}
    assert rates[0] == pytest.approx(5e-8)
    assert rates[500] == pytest.approx(5e-5 * (1 - 0.5 * 0.999))
    assert rates[1000] == 5e-5
    assert rates[8 * 14_659] == pytest.approx(5e-6)
    plain = Detection(**Detection.presets["mmdet-1x"]).learning
    assert plain.course(10, {}).momentum == 0.9


def _progress(step: int) -> Any:
    from vitbench.objectives.progress import Progress

    return Progress(step, 12 * 14_659, epochs=1)


ODD = [(1, 1), (400, 40), (40, 400), (3000, 2000)]


def with_odd_images(root: Path) -> Path:
    """Add images of 1 x 1 and 10:1, and objects without area or outline."""
    for split, identity in (("train", 900), ("val", 950)):
        document = read_annotations(root, split)
        for number, (width, height) in enumerate(ODD):
            name = f"odd{number}.png"
            Image.new("RGB", (width, height), (90, 120, 150)).save(root / f"{split}2017" / name)
            entry = {"id": identity + number, "file_name": name, "height": height, "width": width}
            document["images"].append(entry)
            shapes: list[list[float]] = [[1, 1, width - 1, height - 1], [0, 0, 0, 5]]
            for shape in shapes:
                document["annotations"].append(
                    {
                        "id": 10 * (identity + number) + len(document["annotations"]),
                        "image_id": entry["id"],
                        "category_id": 9,
                        "bbox": shape,
                        "area": shape[2] * shape[3],
                        "iscrowd": 0,
                    }
                )
        write_annotations(root, split, document["images"], document["annotations"])
    return root


def test_odd_images_and_annotations_are_handled(tmp_path: Path) -> None:
    data = with_odd_images(write_coco(tmp_path / "data", train=2, val=2))
    learning = replace(LEARNING, epochs=1, check_epochs=0)
    found = run(data, tmp_path, replace(SHORT, learning=learning))
    assert values(found)["ap_box"] is not None
    assert any("have no outline" in note for note in found.record.notes)


def test_data_without_outlines_is_scored_by_boxes_alone(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", train=2, val=2)
    for split in ("train", "val"):
        document = read_annotations(data, split)
        for one in document["annotations"]:
            del one["segmentation"]
            one["iscrowd"] = 0
        write_annotations(data, split, document["images"], document["annotations"])
    learning = replace(LEARNING, epochs=1)
    found = values(run(data, tmp_path, replace(SHORT, learning=learning)))
    assert found["ap_box"] is not None
    assert found["ap_mask"] is None


def test_data_without_objects_is_refused_before_any_work(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", train=2, val=2)
    write_annotations(data, "train", read_annotations(data, "train")["images"], [])
    with pytest.raises(errors.DatasetError, match="can be learned from"):
        run(data, tmp_path, SHORT)


def test_splits_of_different_categories_are_refused(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", train=2, val=2)
    path = data / "annotations" / "instances_train2017.json"
    path.write_text(path.read_text().replace("never there", "elephant"))
    with pytest.raises(errors.DatasetError, match="9 'elephant', 9 'never there'"):
        run(data, tmp_path, SHORT)


def test_annotations_of_another_split_are_refused(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", train=2, val=2)
    shutil.copy(
        data / "annotations" / "instances_train2017.json",
        data / "annotations" / "instances_val2017.json",
    )
    learning = replace(LEARNING, epochs=1, check_epochs=0)
    with pytest.raises(errors.DatasetError, match="000000000100"):
        run(data, tmp_path, replace(SHORT, learning=learning))


def test_images_that_the_annotations_do_not_belong_to_are_named(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "data", train=2, val=2)
    (image, *_) = (data / "train2017").iterdir()
    Image.new("RGB", (30, 20)).save(image)
    with pytest.raises(errors.DatasetError, match="not of the size that its annotations say"):
        run(data, tmp_path, SHORT)
