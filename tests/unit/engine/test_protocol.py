"""The contract at the door: a plug-in that breaks it is named, and no other protocol suffers."""

import dataclasses
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

import pytest

from vitbench.cli.checkpoints import Which
from vitbench.cli.score import Which as WhichPredictions
from vitbench.engine.options import RunOptions
from vitbench.engine.protocol import RESERVED, contract_problems, protocols
from vitbench.errors import BadPlugin
from vitbench.records import MetricSpec
from vitbench.registry import PluginEntry
from vitbench.settings import setting


class Parts:
    """What a protocol declares beside its settings."""

    name: ClassVar[str] = "plugin"
    version: ClassVar[int] = 1
    data: ClassVar[str] = "classification"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[str]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (MetricSpec("m", "m", primary=True),)
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    def run(self) -> None: ...


def plugin(*settings: str, slots: bool = False) -> type:
    """Return a protocol with settings of these names."""
    fields: list[Any] = [(name, int, setting(1, help="a number")) for name in settings]
    return dataclasses.make_dataclass(
        "Plugin", fields, bases=(Parts,), frozen=True, kw_only=True, slots=slots
    )


def test_settings_of_other_names_keep_the_contract() -> None:
    assert contract_problems(plugin("k", "pool", "data_share")) == []


def test_the_reserved_names_are_the_flags_that_eval_and_score_have() -> None:
    flags = {
        item.name
        for kind in (RunOptions, Which, WhichPredictions)
        for item in dataclasses.fields(kind)
    }
    assert flags | {"preset", "help"} == RESERVED | {"batch_size"}


@pytest.mark.parametrize("slots", [False, True])
@pytest.mark.parametrize("name", sorted(RESERVED | {"name", "metrics", "needs", "presets", "run"}))
def test_a_setting_with_a_name_of_vitbenchs_own_is_named(name: str, slots: bool) -> None:
    (problem,) = contract_problems(plugin("k", name, slots=slots))
    assert f"settings {name} have" in problem


def test_it_is_refused_when_it_is_asked_for_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = ModuleType("colliding_plugin")
    module.Plugin = plugin("pooling", "seed")  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "colliding_plugin", module)
    known, problems = protocols._entries
    entry = PluginEntry("colliding", "somebodys-package", "colliding_plugin:Plugin")
    monkeypatch.setattr(protocols, "_entries", ({**known, "colliding": entry}, problems))
    with pytest.raises(BadPlugin) as raised:
        protocols.get("colliding")
    assert "somebodys-package" in str(raised.value)
    assert "pooling, seed" in str(raised.value)
    assert protocols.get("knn").name == "knn"
    from vitbench.cli.main import main

    assert main(["check-plugin", "colliding"]) == 2
    assert "pooling, seed" in capsys.readouterr().err
    assert main(["list", "protocols"]) == 0


@dataclass(frozen=True)
class OddData(Parts):
    default_data: ClassVar[int] = 3


def test_a_usual_data_set_is_a_name() -> None:
    assert contract_problems(OddData) == ["default_data is 3, expected the name of a data set"]
