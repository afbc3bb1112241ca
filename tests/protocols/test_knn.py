import shutil
from pathlib import Path

import numpy as np
import pytest

from vitbench.api import (
    Evaluation,
    RunOptions,
    evaluate,
    read_items,
    resolve,
)
from vitbench.errors import DatasetError
from vitbench_protocols.knn import Knn

SMALL = {"resize": 32, "crop": 32}


def run(folders: Path, results: Path, **settings: object) -> Evaluation:
    options = RunOptions(data=str(folders), results=results)
    knn = Knn(**{**SMALL, **settings})  # type: ignore[arg-type]
    return evaluate(knn, resolve("random:vit_mini_patch8_64"), options)


def test_classes_of_one_color_are_told_apart_even_by_random_weights(
    folders: Path, tmp_path: Path
) -> None:
    record = run(folders, tmp_path).record
    primary = record.primary()
    assert primary is not None
    assert primary.metric == "top1_k20"
    assert primary.value == 100.0
    assert "cut to it" in record.notes[0]  # 24 training images, k up to 200


def test_the_table_of_classes_has_their_names_and_says_which_are_not_there(
    folders: Path, tmp_path: Path
) -> None:
    shutil.copytree(folders, tmp_path / "data")
    shutil.rmtree(tmp_path / "data" / "val" / "green")
    found = run(tmp_path / "data", tmp_path / "results")
    table = (found.path.parent / found.record.artifacts["classes"]).read_text().splitlines()
    assert table[0].startswith("class,images,top1_k10,")
    assert [line.split(",")[:2] for line in table[1:]] == [
        ["blue", "4"],
        ["green", "0"],
        ["red", "4"],
    ]
    assert "1 of 3 classes have no image in val: green" in found.record.notes


def test_per_item_outcomes_add_up_to_the_score(folders: Path, tmp_path: Path) -> None:
    record = run(folders, tmp_path).record
    items = read_items(record, tmp_path)
    assert items["ids"].tolist()[0] == "val/blue/0.png"
    for score in record.scores:
        assert np.mean(items[score.metric]) == score.value


def test_the_engine_moves_no_score_and_no_identity(folders: Path, tmp_path: Path) -> None:
    first = run(folders, tmp_path, engine="faiss")
    second = run(folders, tmp_path, engine="torch")
    assert first.ran
    assert not second.ran
    assert first.record == second.record


def test_another_temperature_is_another_protocol(folders: Path, tmp_path: Path) -> None:
    first = run(folders, tmp_path).record.protocol
    second = run(folders, tmp_path, temperature=1.0).record.protocol
    assert first.spec_id != second.spec_id
    assert (first.preset, second.preset) == ("", "")


@pytest.mark.data
def test_real_weights_reach_the_official_accuracy(real_data: Path, tmp_path: Path) -> None:
    """On a fixed part of Imagenette; the whole is a run by hand (97.89)."""
    checkpoint = resolve(
        str(real_data / "weights" / "vit_tiny_patch16_224_in1k_supervised.pth"),
        arch="vit_tiny_patch16_224",
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    options = RunOptions(data=str(real_data / "imagenette160"), results=tmp_path, limit=400)
    primary = evaluate(Knn(), checkpoint, options).record.primary()
    assert primary is not None
    assert primary.value is not None
    assert primary.value > 95


def test_val_without_a_class_of_train_is_scored_by_trains_numbers(
    folders: Path, tmp_path: Path
) -> None:
    """Without blue, the first class, green and red keep their numbers."""
    root = tmp_path / "data"
    shutil.copytree(folders, root)
    shutil.rmtree(root / "val" / "blue")
    for split in ("train", "val"):
        hidden = root / split / ".ipynb_checkpoints"
        hidden.mkdir()
        shutil.copy(root / "train" / "red" / "0.png", hidden / "x.png")
    record = run(root, tmp_path).record
    assert {score.value for score in record.scores if score.metric == "top1_k20"} == {100.0}
    assert record.dataset is not None
    assert (record.dataset.items, record.dataset.classes) == (8, 3)


def test_a_class_of_val_that_train_lacks_is_refused_before_any_work(
    folders: Path, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    shutil.copytree(folders, root)
    (root / "val" / "blue").rename(root / "val" / "azure")
    with pytest.raises(DatasetError, match="classes that 'train' lacks: azure"):
        run(root, tmp_path)


def test_a_crop_that_is_cut_to_whole_patches_is_said(folders: Path, tmp_path: Path) -> None:
    said = "the crop of 36 px is cut to 32 px, a multiple of the patch of 8 px"
    assert said in run(folders, tmp_path, resize=40, crop=36).record.notes
    assert said not in run(folders, tmp_path, resize=40, crop=32).record.notes
