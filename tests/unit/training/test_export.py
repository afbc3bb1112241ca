"""Exported runs have the names and shapes of the methods' own files, and come back the same."""

import json
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_training import SWIN, start, tiny
from vitbench.errors import CheckpointError
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.training.export import export
from vitbench.training.recipe import Recipe
from vitbench.training.trainer import Trainer

VALUES = Path(__file__).parents[2] / "reference" / "values"


def run_of(recipe: Recipe, folder: Path, steps: int = 2) -> Trainer:
    loop = start(recipe, folder)
    loop.run(until=steps)
    trainer: Trainer = loop.task.trainer
    return trainer


def official(name: str) -> dict[str, list[int]]:
    listing, key = {
        "dino": ("statedict_dino.json", "dino_vit_tiny_multicrop_no_prefix"),
        "esvit": ("statedict_esvit.json", "esvit_deit_tiny_outdim4096_no_prefix"),
        "selfpatch": ("statedict_selfpatch.json", "selfpatch_vit_tiny_outdim4096_no_prefix"),
    }[name]
    found: dict[str, list[int]] = json.loads((VALUES / listing).read_text())[key]
    return found


@pytest.mark.parametrize("name", ["dino", "selfpatch", "esvit"])
def test_an_exported_run_has_the_official_names(name: str, tmp_path: Path) -> None:
    run_of(tiny(name), tmp_path / "run")
    path = export(str(tmp_path / "run"), name, tmp_path / "out.pth")
    content = torch.load(path, weights_only=False)
    depth = 2  # blocks of the tiny backbone; the listing has 12
    expected = {
        key for key in official(name) if not any(f"blocks.{i}." in key for i in range(depth, 12))
    }
    assert set(content["teacher"]) == expected
    assert set(content["student"]) == {f"module.{key}" for key in expected}
    dimensions = {key: value.ndim for key, value in content["dino_loss"].items()}
    assert (
        dimensions
        == {
            "dino": {"center": 2},
            "selfpatch": {"center": 3, "patch_center": 2},
            "esvit": {"center": 2, "center_grid": 2},
        }[name]
    )
    assert content["epoch"] == 0


def test_an_exported_run_of_moby_has_the_official_names(tmp_path: Path) -> None:
    run_of(tiny("moby"), tmp_path / "run")
    path = export(str(tmp_path / "run"), "moby", tmp_path / "out.pth")
    model = torch.load(path, weights_only=False)["model"]
    listing = json.loads((VALUES / "statedict_moby.json").read_text())["moby_swin_tiny_model_key"]

    def without_encoders(names: Iterable[str]) -> set[str]:
        return {name for name in names if not name.startswith("encoder")}

    assert without_encoders(model) == without_encoders(listing)
    assert {name.partition(".")[0] for name in model} == {
        name.partition(".")[0] for name in listing
    }
    assert model["queue1"].shape == (8, 8)


@pytest.mark.parametrize("name", ["dino", "selfpatch"])
def test_an_exported_run_comes_back_the_same(name: str, tmp_path: Path) -> None:
    run = run_of(tiny(name), tmp_path / "run")
    path = export(str(tmp_path / "run"), name, tmp_path / "out.pth")
    back = resolve(str(path), arch="vit_nano_patch8_24")
    assert back.sha256 == resolve(str(tmp_path / "run")).sha256
    teacher: Any = run.student_teacher.teacher
    images = torch.randn(2, 3, 24, 24)
    torch.testing.assert_close(
        load_backbone(back)(images)[0].pooled, teacher.backbone(images)[0].pooled
    )


@pytest.mark.parametrize(("name", "side"), [("esvit_swin", "teacher"), ("moby_swin", "student")])
def test_an_exported_swin_comes_back_the_same(name: str, side: str, tmp_path: Path) -> None:
    recipe = replace(tiny(name), drop_path=0.0)
    recipe = replace(recipe, norm_eps=1e-5) if recipe.name == "moby" else recipe
    run = run_of(recipe, tmp_path / "run")
    path = export(str(tmp_path / "run"), recipe.name, tmp_path / "out.pth")
    images = torch.randn(2, 3, 40, 24)
    scored = getattr(run.student_teacher, side).backbone.eval()  # what the method evaluates
    back = load_backbone(resolve(str(path), arch=SWIN))
    torch.testing.assert_close(back(images)[0].pooled, scored(images)[0].pooled)


@pytest.mark.parametrize(("name", "arch"), [("dino", "vit_tiny"), ("selfpatch", "vit_micro")])
def test_an_official_file_goes_through_us_unchanged(name: str, arch: str, tmp_path: Path) -> None:
    stored = np.load(VALUES / f"{name}_minitrain.npz", allow_pickle=False)
    official = {
        key.removeprefix("teacher:"): torch.tensor(stored[key])
        for key in stored
        if key.startswith("teacher:")
    }
    torch.save({"teacher": official, "args": Namespace(arch=arch)}, tmp_path / "official.pth")
    path = export(str(tmp_path / "official.pth"), name, tmp_path / "back.pth")
    back = torch.load(path, weights_only=False)["teacher"]
    assert back.keys() == {key for key in official if key.startswith(("backbone.", "ca_head."))}
    for key, value in back.items():  # heads are no part of a checkpoint
        assert torch.equal(value, official[key]), key


def test_a_bare_checkpoint_gives_its_backbone(tmp_path: Path) -> None:
    path = export("random:vit_nano_patch8_24", "dino", tmp_path / "out.pth")
    content = torch.load(path, weights_only=False)
    assert "student" not in content
    assert (
        resolve(str(path), arch="vit_nano_patch8_24").sha256
        == resolve("random:vit_nano_patch8_24").sha256
    )


def test_a_run_of_another_method_is_refused(tmp_path: Path) -> None:
    run_of(replace(tiny("selfpatch")), tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"heads\.patch"):
        export(str(tmp_path / "run"), "dino", tmp_path / "out.pth")
