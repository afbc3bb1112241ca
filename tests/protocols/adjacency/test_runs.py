"""Whole runs: ground truth alone, and a checkpoint against it."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitbench.api import (
    Evaluation,
    RunOptions,
    evaluate,
    open_dataset,
    read_items,
    resolve,
)
from vitbench.errors import DatasetError, SettingError
from vitbench_protocols.adjacency import Adjacency

SMALL: dict[str, Any] = {"image_px": 64, "patch_px": 8, "overlays": 2}
LIMIT = 10


def options(results: Path, data: str = "synthetic") -> RunOptions:
    return RunOptions(data=data, results=results, limit=LIMIT, workers=1)


def count(results: Path, data: str = "synthetic", **settings: Any) -> Evaluation:
    return evaluate(Adjacency(**{**SMALL, **settings}), None, options(results, data))


def value(evaluation: Evaluation, metric: str) -> float:
    found = next(score.value for score in evaluation.record.scores if score.metric == metric)
    assert found is not None
    return found


def rows(evaluation: Evaluation, artifact: str) -> list[dict[str, str]]:
    path = evaluation.path.parent / evaluation.record.artifacts[artifact]
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return count(tmp_path_factory.mktemp("counted"))


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    protocol = Adjacency(**SMALL)
    results = tmp_path_factory.mktemp("scored")
    return evaluate(protocol, resolve("random:vit_mini_patch8_64"), options(results))


@pytest.fixture
def synthetic_copy(tmp_path: Path) -> Path:
    """Return a copy of the synthetic annotations and images that a test may break."""
    root = open_dataset("synthetic", "instances", "val").files[0].parents[1]
    return Path(shutil.copytree(root, tmp_path / "copy"))


def test_ground_truth_has_a_mean_a_spread_and_their_interval(counted: Evaluation) -> None:
    record = counted.record
    primary = record.primary()
    assert record.subject.kind == "ground-truth"
    assert primary is not None
    assert primary.metric == "positives_mean"
    assert primary.low is not None
    assert 0 < primary.low < value(counted, "positives_mean") < 8
    items = read_items(record, counted.path.parents[1])
    assert np.std(items["positives_mean"]) == pytest.approx(value(counted, "positives_std"))
    assert "standard error" in record.notes[0]


def test_tables_add_up_to_the_mean(counted: Evaluation) -> None:
    for table in ("categories", "borders"):
        lines = rows(counted, table)
        patches = np.array([int(line["patches"]) for line in lines])
        means = np.array([float(line["ground_truth"]) for line in lines])
        whole = (patches * means).sum() / patches.sum()
        assert whole == pytest.approx(value(counted, "positives_mean"), abs=1e-3)


def test_pictures_are_written_beside_the_record(counted: Evaluation) -> None:
    names = counted.record.artifacts
    overlays = sorted(set(names) - {"histogram", "categories", "borders"})
    assert len(overlays) == 2
    ids = read_items(counted.record, counted.path.parent.parent)["ids"].tolist()
    assert {name.removeprefix("overlay ") for name in overlays} <= set(ids)
    with Image.open(counted.path.parent / names[overlays[0]]) as picture:
        assert picture.width == 8 * 112
    assert (counted.path.parent / names["histogram"]).read_text().startswith("<?xml")


def test_grid_tells_how_little_a_match_proves(tmp_path: Path) -> None:
    found = count(tmp_path, grid=True)
    lines = rows(found, "grid")
    note = found.record.notes[-1]
    assert f"of {len(lines)} readings" in note
    assert "proves nothing" in note
    own = [
        line
        for line in lines
        if (line["descriptor"], line["background"], line["labels"], line["overlap"], line["crowd"])
        == ("one-hot-map", "class", "categories", "small-on-top", "True")
        and (line["geometry"], line["neighbors"], line["border"], line["patches"])
        == ("resize-crop", "8", "valid", "all")
        and (line["comparison"], line["empty_images"]) == ("at-least", "False")
    ]
    assert len(own) == 1
    assert float(own[0]["image_mean"]) == pytest.approx(value(found, "positives_mean"))
    assert float(own[0]["image_std"]) == pytest.approx(value(found, "positives_std"))


def test_index_maps_are_counted_too(tmp_path: Path) -> None:
    found = evaluate(Adjacency(**SMALL, annotations="semantic"), None, options(tmp_path))
    assert 0 < value(found, "positives_mean") < 8
    names = {line["name"] for line in rows(found, "categories")}
    assert len(names) > 3


def test_the_built_in_data_has_no_panoptic_view(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no panoptic view"):
        evaluate(Adjacency(annotations="panoptic"), None, options(tmp_path))


def test_images_need_not_be_there_for_the_ground_truth(
    synthetic_copy: Path, counted: Evaluation, tmp_path: Path
) -> None:
    for folder in synthetic_copy.glob("*2017"):
        shutil.rmtree(folder)
    found = count(tmp_path / "results", str(synthetic_copy))
    assert value(found, "positives_mean") == value(counted, "positives_mean")
    assert "no overlays: the images are not there" in found.record.notes


def test_a_checkpoint_needs_the_images(synthetic_copy: Path, tmp_path: Path) -> None:
    for folder in synthetic_copy.glob("*2017"):
        shutil.rmtree(folder)
    with pytest.raises(DatasetError, match=f"{LIMIT} of {LIMIT} images can't be read"):
        evaluate(
            Adjacency(**SMALL),
            resolve("random:vit_mini_patch8_64"),
            options(tmp_path / "results", str(synthetic_copy)),
        )


def test_images_without_annotations_are_left_out_unless_asked_for(
    synthetic_copy: Path, tmp_path: Path
) -> None:
    file = next((synthetic_copy / "annotations").glob("instances_val*.json"))
    document = json.loads(file.read_text())
    first = sorted(entry["id"] for entry in document["images"])[:2]
    kept = [item for item in document["annotations"] if item["image_id"] not in first]
    file.write_text(json.dumps({**document, "annotations": kept}))
    without = count(tmp_path / "results", str(synthetic_copy))
    both = count(tmp_path / "results", str(synthetic_copy), empty_images=True)
    alone = read_items(without.record, tmp_path / "results")
    found = read_items(both.record, tmp_path / "results")
    assert len(found["ids"]) == LIMIT
    assert len(alone["ids"]) < LIMIT
    inside = (36 * 8 + 24 * 5 + 4 * 3) / 64  # every neighbor of an 8 x 8 grid
    assert found["positives_mean"][:2].tolist() == [inside, inside]


def test_no_annotation_at_all_is_an_error(synthetic_copy: Path, tmp_path: Path) -> None:
    file = next((synthetic_copy / "annotations").glob("instances_val*.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "annotations": []}))
    with pytest.raises(DatasetError, match="has an annotation"):
        count(tmp_path / "results", str(synthetic_copy))


def test_no_counted_patch_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no patch of .* is counted"):
        count(tmp_path, patches="pure-foreground", patch_px=32)


def test_patches_must_fill_the_image(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="multiple of 7"):
        count(tmp_path, patch_px=7)


def test_the_grid_takes_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="takes no checkpoint"):
        evaluate(
            Adjacency(**SMALL, grid=True), resolve("random:vit_mini_patch8_64"), options(tmp_path)
        )


def test_a_checkpoint_is_scored_against_the_ground_truth(
    scored: Evaluation, counted: Evaluation
) -> None:
    items = read_items(scored.record, scored.path.parents[1])
    truth = read_items(counted.record, counted.path.parents[1])
    np.testing.assert_array_equal(items["ids"], truth["ids"])
    np.testing.assert_allclose(items["chance"], items["precision_at_8"])
    neighbors = (36 * 8 + 24 * 5 + 4 * 3) / 64
    np.testing.assert_allclose(items["chance"], 100 * truth["positives_mean"] / neighbors)
    assert value(scored, "ap") > value(scored, "chance")
    assert value(scored, "precision") == value(scored, "precision_at_4")


def test_groups_of_patches_have_every_score(scored: Evaluation) -> None:
    pooled = {"positives_std"}  # over images
    metrics = {metric.name for metric in Adjacency.metrics} - pooled
    for table in ("categories", "borders"):
        lines = rows(scored, table)
        assert metrics < set(lines[0])
        patches = np.array([int(line["patches"]) for line in lines])
        above = np.array([float(line["positives_mean"]) for line in lines])
        whole = (patches * above).sum() / patches.sum()
        assert whole == pytest.approx(value(scored, "positives_mean"), abs=1e-3)


def test_other_layers_and_rules_are_other_protocols(scored: Evaluation, tmp_path: Path) -> None:
    protocol = Adjacency(**SMALL, layer=0, choose="threshold", feature_threshold=0.5)
    other = evaluate(protocol, resolve("random:vit_mini_patch8_64"), options(tmp_path))
    assert other.record.protocol.spec_id != scored.record.protocol.spec_id
    assert value(other, "ap") != value(scored, "ap")


def test_pixels_are_scored_on_index_maps(tmp_path: Path) -> None:
    found = evaluate(
        Adjacency(**SMALL, annotations="semantic"), resolve("pixels:8"), options(tmp_path)
    )
    assert value(found, "ap") > value(found, "chance")


def test_pixels_that_are_the_labels_find_every_positive(tmp_path: Path) -> None:
    """White objects on black, in whole patches, without any symmetry: no order may be mixed up."""
    root = tmp_path / "ade"
    for number in range(4):
        white = np.random.default_rng(number).random((8, 8)) < 0.4
        labels = white.astype(np.uint8).repeat(8, 0).repeat(8, 1)
        for part, name, pixels in (
            ("images", f"{number}.png", np.stack([labels * 255] * 3, axis=-1)),
            ("annotations", f"{number}.png", labels),
        ):
            folder = root / part / "validation"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name)
    protocol = Adjacency(**SMALL, annotations="semantic", geometry="squash")
    found = evaluate(protocol, resolve("pixels:8"), options(tmp_path / "results", str(root)))
    assert value(found, "ap") == value(found, "auroc") == value(found, "best_f1") == 100
    truth = evaluate(protocol, None, options(tmp_path / "results", str(root)))
    assert value(found, "positives_mean") == value(truth, "positives_mean")


def test_patches_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="has patches of 16"):
        evaluate(Adjacency(**SMALL), resolve("pixels:16"), options(tmp_path))


def test_patches_of_any_size_are_scored_on_one_grid(tmp_path: Path) -> None:
    own, coarse, odd = (
        evaluate(
            Adjacency(**SMALL, resize_maps=resized),
            resolve(f"pixels:{patch}"),
            options(tmp_path),
        )
        for patch, resized in ((8, True), (16, True), (14, True))
    )
    plain = evaluate(Adjacency(**SMALL), resolve("pixels:8"), options(tmp_path))
    for metric in ("ap", "auroc", "positives_mean"):
        assert value(own, metric) == value(plain, metric)
    assert own.record.protocol.spec_id == coarse.record.protocol.spec_id
    assert own.record.protocol.spec_id != plain.record.protocol.spec_id
    assert {value(each, "chance") for each in (coarse, odd)} == {value(plain, "chance")}
    assert value(coarse, "ap") != value(own, "ap")


@pytest.mark.data
def test_real_annotations_give_the_measured_mean(real_data: Path, tmp_path: Path) -> None:
    settings = RunOptions(data=str(real_data / "coco"), results=tmp_path, workers=2)
    found = evaluate(Adjacency(overlays=0), None, settings)
    assert value(found, "positives_mean") == pytest.approx(4.4437, abs=1e-4)
    assert value(found, "positives_std") == pytest.approx(1.1089, abs=1e-4)


@pytest.mark.data
def test_real_weights_are_scored_as_measured(real_data: Path, tmp_path: Path) -> None:
    checkpoint = resolve(
        str(real_data / "weights" / "vit_tiny_patch16_224_in1k_supervised.pth"),
        arch="vit_tiny_patch16_224",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    settings = RunOptions(data=str(real_data / "coco"), results=tmp_path, limit=12, workers=1)
    found = evaluate(Adjacency(overlays=0), checkpoint, settings)
    assert value(found, "ap") == pytest.approx(72.29, abs=0.05)
    assert value(found, "precision_at_1") == pytest.approx(66.71, abs=0.3)
