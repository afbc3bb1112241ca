from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from vitbench import api
from vitbench.engine.abilities import check_device
from vitbench.errors import CheckpointError, MissingAbility, VitbenchError

GPU: Any = SimpleNamespace(name="large", needs=frozenset({"backbone", "gpu"}))
ANY: Any = SimpleNamespace(name="small", needs=frozenset({"backbone"}))


def test_a_protocol_that_needs_a_gpu_is_refused_on_a_cpu() -> None:
    with pytest.raises(MissingAbility, match="large needs a GPU") as raised:
        check_device(GPU, torch.device("cpu"))
    assert raised.value.found == "device cpu"
    check_device(GPU, torch.device("cuda"))
    check_device(ANY, torch.device("cpu"))


def evaluate(protocol: Any, checkpoint: Any, folder: Path) -> api.Evaluation:
    return api.evaluate(protocol, checkpoint, api.RunOptions(data="synthetic", results=folder))


def test_it_is_refused_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knn = api.protocols.get("knn")
    monkeypatch.setattr(knn, "needs", frozenset({"backbone", "gpu"}))
    monkeypatch.setattr("vitbench.engine.evaluate.load_backbone", None)
    monkeypatch.setattr("vitbench.engine.evaluate.open_data", None)
    options = api.RunOptions(device="cpu", results=tmp_path)
    with pytest.raises(MissingAbility, match="needs a GPU"):
        api.evaluate(knn(), api.resolve("random:vit_micro_patch8_64"), options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", [{"weights": 1}, 3])
def test_what_is_no_checkpoint_is_told_what_to_pass(given: object, tmp_path: Path) -> None:
    knn = api.from_preset(api.protocols.get("knn"))
    with pytest.raises(CheckpointError, match="scores a checkpoint or a network") as raised:
        evaluate(knn, given, tmp_path)
    assert raised.value.found == type(given).__name__


def test_no_checkpoint_at_all(tmp_path: Path) -> None:
    with pytest.raises(VitbenchError, match="none was given"):
        evaluate(api.from_preset(api.protocols.get("knn")), None, tmp_path)
