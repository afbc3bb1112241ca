"""Recipes of another distribution train, go on, are exported and scored by their names."""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from methods import recipes as outside
from methods.settings import Mae

from tests.installed_plugins import forget
from tests.tiny_training import nano_networks, several_learn_as_one, start, tiny_recipe, trained
from vitbench.cli.main import main
from vitbench.errors import MissingAbility, UnknownName
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.training.options import ComputeConfig
from vitbench.training.presets import preset_for, presets_of, with_preset
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import recipes

PLUGIN = Path(__file__).parents[1] / "plugin_package"
MAKERS = {
    "ibot": outside.ibot,
    "mae": outside.mae,
    "dino-koleo": outside.dino_koleo,
    "dino-sinkhorn": outside.dino_sinkhorn,
}
EXACT = ComputeConfig(precision="fp64")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the registry see the recipes, as it would after `pip install`."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    folder = tmp_path / "site" / f"{project['name']}-1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\n")
    points = project["entry-points"]["vitbench.recipes"]
    lines = ["[vitbench.recipes]", *(f"{name} = {value}" for name, value in points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    forget(recipes)
    yield
    forget(recipes)


def small(name: str) -> Recipe:
    """Return a recipe that trains in milliseconds."""
    recipe = tiny_recipe(MAKERS[name]())
    if name == "mae":
        (term,) = recipe.terms
        decoder = Mae(width=8, depth=1, heads=2)
        return replace(recipe, terms=(replace(term, objective=decoder),), drop_path=0.0)
    return recipe


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_run_in_two_parts_equals_one_in_one(name: str, tmp_path: Path) -> None:
    with nano_networks():
        whole = start(small(name), tmp_path / "whole")
        whole.run()
        start(small(name), tmp_path / "parts").run(until=6)
        again = start(small(name), tmp_path / "parts")
        again.run()
        expected, found = (run.task.trainer.state_dict() for run in (whole, again))
        torch.testing.assert_close(found, expected, atol=0, rtol=0)


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_a_run_is_a_checkpoint(name: str, tmp_path: Path) -> None:
    with nano_networks():
        run = start(small(name), tmp_path)
        run.run(until=2)
        checkpoint = resolve(str(tmp_path))
        assert checkpoint.method == name
        images = torch.randn(2, 3, 24, 24)
        (expected,) = run.task.trainer.student_teacher.target.backbone.eval()(images)
        (found,) = load_backbone(checkpoint)(images)
        torch.testing.assert_close(found.pooled, expected.pooled)


@pytest.mark.parametrize("name", ["ibot", "mae"])  # the others look at a part as a whole
def test_a_batch_in_parts_gives_the_same_steps(name: str) -> None:
    with nano_networks():
        whole, cut = (
            trained(small(name), 4, computing=replace(EXACT, accumulate=parts)) for parts in (1, 2)
        )
    torch.testing.assert_close(cut, whole, atol=1e-9, rtol=0)


def test_several_processes_learn_what_one_does(tmp_path: Path) -> None:
    several_learn_as_one(2, {name: small(name) for name in MAKERS}, 6, tmp_path)


def test_a_recipe_without_a_teacher_has_none() -> None:
    with nano_networks():
        _, state = trained(small("mae"), 1, computing=EXACT)
    assert not any(name.startswith("teacher.") for name in state["pair"])


def test_a_network_that_can_not_hide_patches_says_so(tmp_path: Path) -> None:
    with nano_networks(), pytest.raises(MissingAbility, match="can't hide patches"):
        start(replace(small("mae"), arch="swin_nano_patch4_window4_24"), tmp_path).run()


@pytest.mark.usefixtures("installed")
def test_its_presets_are_its_own_and_the_one_for_a_cpu() -> None:
    assert presets_of(outside.ibot()) == ("imagenet-800", "small")
    assert with_preset(outside.mae(), "imagenet-1600").arch == "vit_large_patch16_224"
    assert preset_for(outside.ibot(), "/data/imagenet") is None
    with pytest.raises(UnknownName, match="imagenet-800"):
        with_preset(outside.ibot(), "imagenet-vissl-300")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["ibot", "mae"])
def test_it_is_trained_resumed_exported_and_scored_by_its_name(
    name: str, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    words = ["train", name, "--preset", "small", "--data", str(folders), "--out", str(out)]
    words += ["--batch-size", "8", "--steps", "2", "--device", "cpu", "--probe-every", "0"]
    words += ["--mae.width", "32", "--mae.heads", "2"] if name == "mae" else []
    assert main(words) == 0
    assert main(["resume", str(out), "--steps", "3"]) == 0
    assert json.loads((out / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 3
    exported = tmp_path / "file.pth"
    assert main(["export", name, str(out), "--out", str(exported)]) == (0 if name == "ibot" else 2)
    if name == "ibot":
        content = torch.load(exported, weights_only=False)
        assert "head.last_layer.weight_v" in content["teacher"]
        assert "module.backbone.masked_embed" in content["student"]
    images = ["--data", str(folders), "--resize", "64", "--crop", "64"]
    assert main(["eval", "knn", str(out), *images, "--results", str(tmp_path / "results")]) == 0
    assert "top-1 (k=20)" in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
def test_it_is_checked_as_a_plug_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-plugin", "dino-sinkhorn"]) == 0
    assert "ok    trains a step on built-in data" in capsys.readouterr().out
