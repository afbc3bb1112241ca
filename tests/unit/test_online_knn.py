import shutil
from pathlib import Path

import pytest
import torch

from vitbench.data.folders import open_folders
from vitbench.data.packing import Packing, pack_folder
from vitbench.errors import DatasetError
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.online_knn import OnlineKnn
from vitbench.training.options import Inputs, LogConfig, Options
from vitbench.training.train import open_probe


@pytest.fixture
def lacking(folders: Path, tmp_path: Path) -> Path:
    """Classification folders whose val lacks the first class, and that have hidden folders."""
    root = tmp_path / "data"
    shutil.copytree(folders, root)
    shutil.rmtree(root / "val" / "blue")
    (root / "train" / ".ipynb_checkpoints").mkdir()
    shutil.copy(root / "train" / "red" / "0.png", root / "train" / ".ipynb_checkpoints")
    return root


def watched(data: Path, probe_data: str = "") -> Options:
    inputs = Inputs(data=str(data), probe_data=probe_data)
    return Options(inputs=inputs, watching=LogConfig(probe_every=1))


def test_queries_and_bank_count_classes_alike(lacking: Path) -> None:
    probe = OnlineKnn(open_folders(lacking, "train"), open_folders(lacking, "val"))
    backbone = load_backbone(resolve("random:vit_mini_patch8_64")).eval()
    _, labels = probe.vectors(backbone, probe.bank)
    _, truth = probe.vectors(backbone, probe.queries)
    assert sorted(set(labels.tolist())) == [0, 1, 2]
    assert sorted(set(truth.tolist())) == [1, 2]
    assert probe.top1(backbone) == 100.0


def test_a_class_that_only_val_has_stops_the_start(lacking: Path) -> None:
    assert open_probe(watched(lacking)) is not None
    (lacking / "val" / "red").rename(lacking / "val" / "rouge")
    with pytest.raises(DatasetError, match="'train' lacks: rouge"):
        open_probe(watched(lacking))


def test_data_without_labels_is_not_probed_unless_it_is_named_for_it(lacking: Path) -> None:
    flat = lacking / "train" / "red"
    assert open_probe(watched(flat)) is None
    with pytest.raises(DatasetError, match="has no 'train' split"):
        open_probe(watched(lacking, probe_data=str(flat)))
    shutil.rmtree(lacking / "val" / "red")
    shutil.rmtree(lacking / "val" / "green")
    assert open_probe(watched(lacking)) is None  # val without class folders


def test_packed_images_with_classes_are_probed_and_others_trained_on_without(
    folders: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    pack_folder(folders, tmp_path / "packed", Packing(size=16))
    assert open_probe(watched(tmp_path / "packed"), said.append) is not None
    assert not said
    pack_folder(folders / "train" / "red", tmp_path / "red", Packing(size=16))
    assert open_probe(watched(tmp_path / "red"), said.append) is None
    (line,) = said
    assert line.startswith("without the online 20-NN")
    assert "8 images" in line


def test_a_vote_for_a_class_beyond_the_queries_is_counted() -> None:
    bank = torch.eye(3)
    labels, queries, truth = torch.tensor([0, 1, 2]), bank[:1], torch.tensor([2])
    assert OnlineKnn.vote(bank, labels, queries, truth) == 0.0
