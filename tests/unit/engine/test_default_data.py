from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from vitbench import api
from vitbench.engine.default_data import data_of, default_data
from vitbench.engine.protocol import protocols, scorers
from vitbench.errors import DatasetNotFound

MINE: Any = SimpleNamespace(name="mine", default_data="coco")
PLUGIN: Any = SimpleNamespace(name="plug-in")


@pytest.mark.parametrize("named", ["synthetic", "somewhere/else", "imagenet"])
def test_what_is_named_is_taken(named: str) -> None:
    assert data_of(MINE, named) == named
    assert data_of(PLUGIN, named) == named


def test_the_usual_set_lies_under_the_data_folder_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "coco").mkdir(parents=True)
    (tmp_path / "here" / "coco").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("VITBENCH_DATA", str(tmp_path / "data"))
    assert data_of(MINE, "") == str(tmp_path / "data" / "coco")


@pytest.mark.parametrize("base", [None, "", "nowhere", "."])
def test_without_it_the_built_in_data_is_offered_but_not_taken(
    base: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "davis").mkdir()
    monkeypatch.delenv("VITBENCH_DATA", raising=False)
    if base is not None:
        monkeypatch.setenv("VITBENCH_DATA", base)
    with pytest.raises(DatasetNotFound) as raised:
        data_of(MINE, "")
    assert "usual data set 'coco'" in str(raised.value)
    assert "--data synthetic" in raised.value.hint
    assert raised.value.found == {
        None: "VITBENCH_DATA is not set",
        "": "VITBENCH_DATA is not set",
        "nowhere": "VITBENCH_DATA is 'nowhere', which is no folder",
        ".": "VITBENCH_DATA is '.' and holds davis",
    }.get(base)


def test_a_plugin_without_a_usual_set_must_be_told() -> None:
    with pytest.raises(DatasetNotFound, match="no usual data set") as raised:
        data_of(PLUGIN, "")
    assert "--data synthetic" in raised.value.hint


def test_every_bundled_protocol_and_scorer_has_the_papers_set() -> None:
    usual = {name: default_data(protocols.get(name)) for name in protocols.names()}
    assert usual == {
        "adjacency": "coco",
        "attentive-probe": "imagenet",
        "correspondence": "SPair-71k",
        "davis": "davis",
        "depth": "nyuv2",
        "detection": "coco",
        "discovery": "voc2012",
        "knn": "imagenet",
        "layers": "imagenet",
        "linear-probe": "imagenet",
        "feature-pca": "imagenet",
        "health": "imagenet",
        "logistic": "imagenet",
        "profile": "synthetic",
        "retrieval": "roxford5k",
        "segmentation": "ade20k",
    }
    usual = {name: default_data(scorers.get(name)) for name in scorers.names()}
    assert usual == {"coco": "coco", "davis": "davis", "segmentation": "ade20k"}


def test_python_gets_the_same_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITBENCH_DATA", raising=False)
    knn = api.from_preset(api.protocols.get("knn"))
    with pytest.raises(DatasetNotFound, match="'imagenet' is not there"):
        api.evaluate(
            knn, api.resolve("random:vit_micro_patch8_64"), api.RunOptions(results=tmp_path)
        )
    assert not list(tmp_path.iterdir())
