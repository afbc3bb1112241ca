"""What the checks of plug-ins find, on components that keep their contract and that break it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitbench.cli import plugin_checks
from vitbench.cli.main import main
from vitbench.errors import UnknownName
from vitbench.registry import PluginEntry
from vitbench.testing import Finding, check_backbone, check_recipe_of, check_scorer
from vitbench.training import presets
from vitbench.training.presets import presets_of, with_preset
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import dino, offered_with


def failed(findings: Any) -> dict[str, str]:
    found: list[Finding] = list(findings)
    assert len(found) > 0
    return {each.check: each.problem for each in found if not each.passed}


class Stem(nn.Conv2d):
    """Maps of stride 16."""

    def __init__(self, change: Callable[[Tensor], Tensor] = lambda found: found) -> None:
        super().__init__(3, 8, 16, 16)
        self.change = change

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = super().forward(images)
        return self.change(found)


def test_a_backbone_that_keeps_the_contract_passes() -> None:
    assert not failed(check_backbone(Stem))


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda found: found * torch.nan, "gives finite features"),
        (lambda found: found + torch.randn(1), "gives the same features twice"),
        (
            lambda found: found - found.mean(dim=0, keepdim=True) + 0.1,
            "gives an image the same features alone and in a batch",
        ),
        (lambda found: found.mean(dim=(2, 3)), "is made, and gives tokens or maps"),
    ],
)
def test_what_a_backbone_breaks_is_named(change: Callable[[Tensor], Tensor], check: str) -> None:
    assert check in failed(check_backbone(lambda: Stem(change)))


def test_a_scorer_is_asked_for_what_it_declares() -> None:
    class Nothing:
        pass

    nothing: Any = Nothing
    assert failed(check_scorer(nothing))["declares what the contract asks"] == "it is no dataclass"


def test_a_recipe_is_named_limited_and_trained() -> None:
    told = failed(check_recipe_of("mine", lambda: replace(dino(), name="other", epochs=0)))
    assert "'other', not 'mine'" in told["gives a recipe of its name"]
    assert "--epochs" in told["its settings lie inside their limits"]


def test_presets_that_come_with_a_recipe_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    @offered_with(presets={"short": {"epochs": 2}})
    def mine() -> Recipe:
        return replace(dino(), name="mine")

    class Recipes:
        def names(self) -> tuple[str, ...]:
            return ("mine",)

        def get(self, _: str) -> Any:
            return mine

        def entries(self) -> tuple[PluginEntry, ...]:
            return (PluginEntry("mine", "elsewhere", "mine:mine"),)

    monkeypatch.setattr(presets, "recipes", Recipes())
    assert presets_of(mine()) == ("short", "small")
    assert with_preset(mine(), "short").epochs == 2
    with pytest.raises(UnknownName, match="short"):
        with_preset(mine(), "shrt")
    assert "short" not in presets_of(dino())


def test_a_component_of_any_kind_is_checked_by_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check-plugin", "dino"]) == 0
    assert capsys.readouterr().out.startswith("recipe dino\n  ok    gives a recipe of its name\n")
    assert main(["check-plugin", "classification"]) == 0
    assert "reader classification" in capsys.readouterr().out
    assert main(["check-plugin", "no-such-thing"]) == 2
    assert "no plug-in 'no-such-thing'" in capsys.readouterr().err


def test_a_protocol_is_checked_with_the_settings_that_were_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: dict[str, Any] = {}
    monkeypatch.setattr(
        plugin_checks, "check_protocol", lambda _, **with_: told.update(with_) or ()
    )
    words = ["check-plugin", "linear-probe", "--preset", "sweep", "--epochs", "2"]
    assert main([*words, "--data", "photos"]) == 0
    assert (told["epochs"], told["train_on"], told["data"]) == (2, "features", "photos")
    told.clear()
    assert main(["check-plugin", "layers", "--of", "retrieval"]) == 0
    assert (told["of"], "spec" in told) == ("retrieval", False)  # which it makes itself
    assert main(["check-plugin", "linear-probe", "--epochs", "0"]) == 2
    assert "--epochs is 0" in capsys.readouterr().err
    assert main(["check-plugin", "davis", "--resolution", "64"]) == 0
    said = capsys.readouterr().out
    assert said == (
        "scorer davis: not checked, it takes no settings; leave out --resolution\n"
        "protocol davis --resolution 64\n"
    )
    assert main(["check-plugin", "dino", "--epochs", "2"]) == 2
    assert "a recipe is checked without settings" in capsys.readouterr().err
