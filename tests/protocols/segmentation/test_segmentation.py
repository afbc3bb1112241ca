"""Whole runs on small maps, frozen and fine-tuned."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.protocols.segmentation.conftest import write_maps
from vitbench.api import (
    Evaluation,
    RunOptions,
    errors,
    evaluate,
    read_items,
    resolve,
)
from vitbench.models.factory import assemble, find_architecture
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.dense_knn import class_shares
from vitbench_protocols.segmentation.settings import (
    DenseKnn,
    FineTune,
    Inference,
    Learning,
    LinearProbe,
)

BACKBONE = "random:vit_mini_patch8_64"
SEEN = Inference(short=64, long=256)
SHORT = Learning(
    steps=12,
    batch_size=4,
    crop=32,
    short=64,
    scales=(0.75, 1.25),
    learning_rate=2e-3,
    warmup_steps=2,
    check_every=6,
)


def run(data: Path, results: Path, method: object, backbone: str = BACKBONE) -> Evaluation:
    protocol = Segmentation(method=method, inference=SEEN)  # type: ignore[arg-type]
    return evaluate(
        protocol, resolve(backbone), RunOptions(data=str(data), results=results, workers=2)
    )


def score(found: Evaluation) -> float:
    primary = found.record.primary()
    assert primary is not None
    assert primary.metric == "miou"
    assert primary.value is not None
    return primary.value


def test_retrieval_tells_colors_apart_and_leaves_everything_a_reader_needs(
    maps: Path, tmp_path: Path
) -> None:
    found = run(maps, tmp_path, DenseKnn(k=5))
    assert score(found) > 60
    record = found.record
    assert record.protocol.preset == ""
    folder = tmp_path / "segmentation"
    drawn = [f"prediction {number}.jpg" for number in range(3)]  # the same for every backbone
    assert sorted(record.artifacts) == ["classes", *drawn, "predictions"]
    assert all((folder / path).exists() for path in record.artifacts.values())
    predicted = np.asarray(Image.open(folder / record.artifacts["predictions"] / "0.png"))
    assert predicted.shape == (64, 80)
    assert set(np.unique(predicted)) <= {1, 2, 5}
    items = read_items(record, tmp_path)
    assert items["ids"].tolist() == ["0.jpg", "1.jpg", "2.jpg"]
    assert items["confusion_true"].shape == (3, 3)
    assert record.scores[0].low is not None
    text = (folder / record.artifacts["classes"]).read_text()
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["name"] for row in rows] == ["brick", "grass", "sky"]


def test_both_engines_find_the_same_neighbors(maps: Path, tmp_path: Path) -> None:
    first = run(maps, tmp_path / "faiss", DenseKnn(k=5, memory=100, engine="faiss"))
    second = run(maps, tmp_path / "torch", DenseKnn(k=5, memory=100, engine="torch"))
    assert first.record.id == second.record.id
    assert score(first) == score(second)


def test_a_patch_holds_the_shares_of_its_labeled_pixels() -> None:
    truth = np.array([[0, 0, -1, -1], [0, 1, -1, -1], [1, 1, 2, 2]], np.int16)
    expected = [[0.75, 0.25, 0.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    assert class_shares(truth, 2, 3).tolist() == expected


def test_a_linear_probe_learns_and_shows_its_curves(maps: Path, tmp_path: Path) -> None:
    learning = replace(SHORT, steps=60, learning_rate=0.02)
    found = run(maps, tmp_path, LinearProbe(learning=learning))
    assert score(found) > 60
    folder = tmp_path / "segmentation"
    assert "<svg" in (folder / found.record.artifacts["curves"]).read_text()
    rows = (folder / found.record.artifacts["journal"]).read_text().splitlines()
    assert any("miou" in json.loads(row) for row in rows)


@pytest.mark.parametrize("decoder", ["semantic-fpn", "semantic-fpn-deconv"])
def test_a_pyramid_learns_from_end_to_end(maps: Path, tmp_path: Path, decoder: str) -> None:
    learning = replace(SHORT, steps=3, check_every=0)
    method = FineTune(decoder=decoder, learning=learning)  # type: ignore[arg-type]
    found = run(maps, tmp_path, method)
    assert 0 <= score(found) <= 100


@pytest.mark.parametrize(
    ("name", "crop"),
    [("test_resnet", 32), ("test_convnext", 64), ("eva02_tiny_patch14_224", 28)],
)
def test_networks_of_any_stride_and_number_of_stages_learn(
    maps: Path, tmp_path: Path, name: str, crop: int
) -> None:
    learning = replace(SHORT, steps=2, crop=crop, check_every=0)
    method = FineTune(decoder="semantic-fpn-deconv", learning=learning)
    assert score(run(maps, tmp_path, method, f"random:{name}")) >= 0


def test_what_a_network_can_not_do_is_said_before_any_work() -> None:
    for name, message in (
        ("cait_xxs24_224", "can't take images of 32 x 32"),
        ("vgg11", "has no stochastic depth"),
    ):
        backbone = assemble(find_architecture(name))  # without weights
        with pytest.raises(errors.MissingAbility, match=message):
            FineTune(learning=SHORT).check(backbone)


def test_fine_tuning_overfits_and_leaves_the_lent_backbone_alone(
    maps: Path, tmp_path: Path
) -> None:
    checkpoint = resolve(BACKBONE)
    before = {name: value.clone() for name, value in checkpoint.state.items()}
    method = FineTune(drop_path=0.0, learning=replace(SHORT, steps=40))
    assert score(run(maps, tmp_path, method)) > 60
    assert all(torch.equal(before[name], value) for name, value in checkpoint.state.items())


def test_equal_runs_give_equal_scores_and_another_inference_is_another_protocol(
    maps: Path, tmp_path: Path
) -> None:
    method = FineTune(learning=replace(SHORT, steps=2, check_every=0))
    first, second = (run(maps, tmp_path / name, method) for name in "ab")
    assert score(first) == score(second)
    flipped = Segmentation(method=method, inference=replace(SEEN, flip=True))
    options = RunOptions(data=str(maps), results=tmp_path / "c", workers=2)
    third = evaluate(flipped, resolve(BACKBONE), options)
    assert third.record.protocol.spec_id != first.record.protocol.spec_id


def test_images_without_labels_disturb_nothing(tmp_path: Path) -> None:
    data = write_maps(tmp_path / "data")
    for split in ("training", "validation"):
        path = data / "annotations" / split / "0.png"
        Image.fromarray(np.zeros((64, 80), np.uint8)).save(path)
    for name, method in (
        ("knn", DenseKnn(k=5)),
        ("fine", FineTune(learning=replace(SHORT, steps=2))),
    ):
        assert 0 <= score(run(data, tmp_path / name, method)) <= 100


def test_a_folder_without_class_names_is_refused(tmp_path: Path) -> None:
    data = write_maps(tmp_path / "data", train=1, val=1)
    (data / "classes.yaml").unlink()
    with pytest.raises(errors.DatasetError, match="classes of 'data' are not known"):
        run(data, tmp_path / "results", DenseKnn())


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (FineTune(learning=replace(SHORT, crop=36)), "multiple of the patch, 8 px"),
        (FineTune(layers=(1, 2), learning=SHORT), "sees 4 blocks"),
        (FineTune(decoder="upernet", learning=replace(SHORT, batch_size=1)), "two crops at once"),
    ],
)
def test_settings_that_do_not_fit_the_backbone_are_told(
    maps: Path, tmp_path: Path, method: FineTune, message: str
) -> None:
    with pytest.raises(errors.SettingError, match=message):
        run(maps, tmp_path, method)


@pytest.mark.data
def test_real_ade20k_is_read_and_scored(real_data: Path, tmp_path: Path) -> None:
    protocol = Segmentation(method=DenseKnn(k=5), inference=Inference(short=64, long=256))
    options = RunOptions(data=str(real_data / "ade20k"), results=tmp_path)
    found = evaluate(protocol, resolve(BACKBONE), options)
    assert found.record.dataset is not None
    assert found.record.dataset.classes == 150
    assert 0 < score(found) < 100
