from dataclasses import dataclass

import pytest

from vitbench.errors import SettingError
from vitbench.settings import as_dict, checked, digest, setting


@dataclass(frozen=True, slots=True)
class Example:
    k: int = setting(20, help="neighbors", minimum=1, maximum=30)
    ks: tuple[int, ...] = setting((1, 2), help="several", minimum=1)
    rule: str = setting("a", help="rule", choices=("a", "b"))
    engine: str = setting("torch", help="engine", identity=False)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(SettingError) as caught:
        checked(Example(k=0, ks=(1, -5), rule="c"))
    assert len(caught.value.problems) == 3
    assert "--k is 0, expected at least 1" in str(caught.value)


def test_a_setting_inside_its_limits_passes() -> None:
    assert checked(Example(k=30)).k == 30


def test_a_setting_that_moves_no_score_stays_out_of_the_identity() -> None:
    assert "engine" in as_dict(Example())
    assert as_dict(Example(), identity_only=True) == as_dict(
        Example(engine="faiss"), identity_only=True
    )


def test_the_digest_ignores_the_order_of_keys_and_sees_values() -> None:
    assert digest({"a": 1, "b": (1, 2)}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


@dataclass(frozen=True, slots=True)
class Outer:
    inner: Example = setting(Example(), help="settings of their own")


def test_settings_within_settings_are_checked_and_named_by_both() -> None:
    with pytest.raises(SettingError, match=r"--inner\.k is 0"):
        checked(Outer(Example(k=0)))


def test_settings_within_settings_enter_the_identity_by_the_same_rule() -> None:
    assert as_dict(Outer(), identity_only=True) == as_dict(
        Outer(Example(engine="faiss")), identity_only=True
    )
    assert as_dict(Outer()) != as_dict(Outer(Example(engine="faiss")))


@dataclass(frozen=True, slots=True)
class Free:
    share: float = setting(0.5, help="no limits")
    pairs: tuple[tuple[float, float], ...] = setting(((0.0, 1.0),), help="pairs", maximum=1)
    rule: tuple[str, int] = setting(("skip", 0), help="a word and a number", minimum=0)
    undeclared: float = 1.0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_refused_everywhere(value: float) -> None:
    with pytest.raises(SettingError) as caught:
        checked(Free(share=value, pairs=((0.0, value),), undeclared=value))
    assert len(caught.value.problems) == 3
    assert f"--share is {value!r}, expected a finite number" in str(caught.value)


def test_the_limits_hold_for_numbers_at_any_depth() -> None:
    with pytest.raises(SettingError, match="--pairs is 2, expected at most 1"):
        checked(Free(pairs=((0, 1), (0, 2))))
    with pytest.raises(SettingError, match="--rule is -1, expected at least 0"):
        checked(Free(rule=("skip", -1)))
