"""`package.module:function` names code that the user installed; a file never does."""

from pathlib import Path

import pytest

from vitbench.errors import CheckpointError, SettingError, UnknownName
from vitbench.models.checkpoint import resolve

CODE = """
import torch
from torch import nn

def build():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU())

def takes(size):
    return build()

def text():
    return "no network"

number = 3
"""


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_models.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_function_names_a_network() -> None:
    checkpoint = resolve("own_models:build", mean=(0.1, 0.2, 0.3))
    assert checkpoint.name == "build"
    assert checkpoint.format == "code"
    assert (checkpoint.mean, checkpoint.normalization_from) == (
        (0.1, 0.2, 0.3),
        "flag / ImageNet default",
    )
    assert any("torch.nn.modules.container.Sequential" in text for text in checkpoint.said)
    assert checkpoint.sha256 == resolve("own_models:build").sha256


def test_a_layer_is_taken_by_its_name() -> None:
    assert resolve("torchvision.models:resnet18", tokens="layer3").network is not None


@pytest.mark.parametrize(
    ("spec", "wrong", "found"),
    [
        ("own_models:takes", "can't be made", "missing 1 required positional argument"),
        ("own_models:text", "makes no network", "str"),
        ("own_models:number", "can't be called", "int"),
        ("own_models:other", "can't be imported", "no attribute 'other'"),
        ("not_installed.models:build", "can't be imported", "No module named 'not_installed'"),
    ],
)
def test_what_is_no_network_is_refused(spec: str, wrong: str, found: str) -> None:
    with pytest.raises(CheckpointError, match=wrong) as raised:
        resolve(spec)
    assert found in raised.value.found


def test_facts_of_files_are_refused_for_code_and_the_other_way_round() -> None:
    with pytest.raises(SettingError, match=r"arch, heads: .*network from code"):
        resolve("own_models:build", arch="vit_tiny_patch16_224", heads=3)
    with pytest.raises(SettingError, match=r"tokens: .*no network from code"):
        resolve("random:vit_micro_patch8_64", tokens="layer4")


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own_models:build").write_bytes(b"no weights")
    with pytest.raises(CheckpointError) as raised:
        resolve("own_models:build")
    assert "import" not in str(raised.value)


def test_a_word_that_nobody_knows_is_still_an_unknown_name() -> None:
    with pytest.raises(UnknownName):
        resolve("no-such-thing")
