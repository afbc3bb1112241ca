"""One call each, by names or by objects on either side."""

import doctest
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

import vitbench
from vitbench import api, front_door
from vitbench.errors import CheckpointError, SettingError, UnknownName

NAME = "random:vit_micro_patch8_64"


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 16, 16), nn.ReLU())


def test_names_and_objects_stand_for_one_another(tmp_path: Path) -> None:
    told: dict[str, Any] = {"data": "synthetic", "limit": 24, "results": str(tmp_path)}
    kind = api.protocols.get("knn")
    checkpoint = vitbench.api.resolve(NAME)
    records = [
        vitbench.evaluate("knn", NAME, **told).record,
        vitbench.evaluate(kind, checkpoint, **told).record,
        vitbench.evaluate(
            kind(), checkpoint, api.RunOptions(data="synthetic", limit=24, results=tmp_path)
        ).record,
    ]
    assert len({record.id for record in records}) == 1


def test_a_module_is_scored_and_its_code_is_in_the_record(
    network: nn.Module, tmp_path: Path
) -> None:
    found = vitbench.evaluate("knn", network, data="synthetic", limit=24, results=tmp_path)
    subject = found.record.subject
    assert subject.name == "Sequential"
    assert subject.network["code"] == "torch.nn.modules.container.Sequential"
    assert subject.network["version"] == torch.__version__
    assert subject.normalization_from == "ImageNet default"
    assert subject.gate


def test_facts_of_a_module_are_told_in_the_same_call(network: nn.Module, tmp_path: Path) -> None:
    told: dict[str, Any] = {"data": "synthetic", "limit": 24, "results": tmp_path}
    one = vitbench.evaluate("knn", network, normalization="half", name="mine", **told).record
    assert one.subject.name == "mine"
    assert one.subject.mean == (0.5, 0.5, 0.5)
    wrapped = vitbench.wrap(network, normalization="half")
    assert vitbench.evaluate("knn", wrapped, **told).record.id == one.id


def test_a_preset_is_named_and_overruled(tmp_path: Path) -> None:
    told: dict[str, Any] = {"data": "synthetic", "limit": 24, "results": tmp_path}
    own = vitbench.evaluate("knn", NAME, preset="dino", **told).record
    assert own.protocol.preset == "dino"
    other = vitbench.evaluate("knn", NAME, preset="dino", temperature=0.2, **told).record
    assert other.protocol.preset == ""
    with pytest.raises(SettingError, match="preset 'dino' and a knn"):
        vitbench.evaluate(api.protocols.get("knn")(), NAME, preset="dino", **told)


def test_an_unknown_setting_names_those_that_there_are() -> None:
    with pytest.raises(SettingError, match="no setting 'neighbors'") as raised:
        vitbench.evaluate("knn", NAME, data="synthetic", neighbors=3, lmit=4)
    error = raised.value
    assert len(error.problems) == 2
    assert "knn's settings: temperature, " in error.expected
    assert "limit" in error.expected
    assert "state_key" in error.expected
    assert "neighbors=3" in error.found


def test_facts_of_files_are_no_facts_of_modules(network: nn.Module) -> None:
    with pytest.raises(SettingError, match="no setting 'state_key'") as raised:
        vitbench.evaluate("knn", network, data="synthetic", state_key="model")
    assert "patch_size" in raised.value.expected
    with pytest.raises(SettingError, match="no setting 'patch_size'"):
        vitbench.evaluate("knn", NAME, data="synthetic", patch_size=8)


def test_unknown_names_and_networks_without_features_are_refused() -> None:
    with pytest.raises(UnknownName, match="'knn'"):
        vitbench.evaluate("kn", NAME, data="synthetic")
    with pytest.raises(CheckpointError, match="tokens='layer4'"):
        vitbench.evaluate("knn", torchvision.models.resnet18(), data="synthetic")


def test_a_network_is_loaded_by_name_or_from_a_module(network: nn.Module) -> None:
    assert vitbench.load(NAME).info.arch == "vit_micro_patch8_64"
    loaded = vitbench.load(network, patch_size=16)
    images = torch.randn(1, 3, 32, 32)
    torch.testing.assert_close(loaded(images)[0].patches, network(images))


def test_a_recipe_is_trained_by_name_and_its_run_is_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    told: dict[str, Any] = {
        "preset": "small",
        "arch": "vit_micro_patch16_64",
        "batch_size": 4,
        "epochs": 1,
    }
    path = vitbench.train("dino", folder, data="synthetic", steps=1, probe_every=0, **told)
    assert path.parent == folder
    assert vitbench.load(str(folder)).info.arch == "vit_micro_patch16_64"
    with pytest.raises(SettingError, match="no setting 'lr'") as raised:
        vitbench.train("dino", folder, lr=3)
    assert "save_minutes" in raised.value.expected


def test_a_report_is_what_the_command_writes(tmp_path: Path) -> None:
    vitbench.evaluate("knn", NAME, data="synthetic", limit=24, results=tmp_path)
    assert "random-vit_micro_patch8_64" in vitbench.report(tmp_path)
    assert "knn" in vitbench.report(tmp_path, format="csv")


@pytest.mark.parametrize("module", [vitbench, front_door])
def test_the_examples_are_true(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted
    assert not found.failed


def test_the_package_alone_imports_nothing_heavy() -> None:
    program = "import sys, vitbench; print([n for n in ('torch', 'numpy') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_six_lines_of_a_notebook_score_any_network(tmp_path: Path) -> None:
    text = (Path(front_door.__file__).parents[1] / "README.md").read_text()
    start = text.index("```python\nimport torch\n")
    code = text[start:].split("```")[1].removeprefix("python\n")
    lines = [line for line in code.splitlines() if line.strip()]
    assert len(lines) <= 6
    program = "\n".join(lines)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "top1" in done.stdout
