from dataclasses import dataclass

import pytest

from vitbench.cli.flags import parse
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    steps: int = setting(100, help="steps", minimum=1)
    rates: tuple[float, ...] = setting((1.0,), help="rates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    k: int = setting(20, help="neighbors that vote", minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    method: Quick | Slow = setting(Quick(), help="how it is done")
    seed: int = setting(0, help="of the draws")


def read(*words: str, **defaults: object) -> object:
    (found,) = parse({"flags": Component}, words, prog="test", description="", defaults=defaults)
    return found


def test_settings_within_settings_become_flags_named_after_both() -> None:
    assert read("--method.k", "3", "--seed", "1") == Component(method=Quick(k=3), seed=1)


def test_a_preset_chooses_which_settings_there_are() -> None:
    found = read("--method.rates", "1", "2", method=Slow(steps=5))
    assert found == Component(method=Slow(steps=5, rates=(1.0, 2.0)))


def test_help_tells_of_settings_within_settings(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read("--help")
    assert "neighbors that vote" in capsys.readouterr().out
