"""Facts typed behind a checkpoint: `ckpt.pth@arch=vit_small_patch16_224,mean=0.5,std=0.5`."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from vitbench.errors import SettingError, UnknownName
from vitbench.models.constants import Pooling, PositionRule, Triple

TYPED = re.compile(r"(.+?)@([A-Za-z][A-Za-z_-]*=.*)")
EXAMPLE = "ckpt.pth@arch=vit_small_patch16_224,mean=0.5,0.5,0.5,std=0.5,0.5,0.5"


def split_facts(spec: str) -> tuple[str, dict[str, Any]]:
    """Return a checkpoint as typed without the facts behind it, and the facts.

    Args:
        spec: `CHECKPOINT` or `CHECKPOINT@NAME=VALUE,NAME=VALUE,…`. A value may hold commas: what
            follows one and is no `NAME=` belongs to the value. A file of the whole name has no
            facts behind it.

    Returns:
        The checkpoint, and arguments of `resolve`.

    Raises:
        UnknownName: There is no such fact.
        SettingError: A value is not what its fact takes.
    """
    found = TYPED.fullmatch(spec)
    if found is None or Path(spec).expanduser().exists():
        return spec, {}
    facts: dict[str, Any] = {}
    for name, text in _pairs(found[2]).items():
        argument, read = _FACTS[name]
        try:
            facts[argument] = read(text)
        except ValueError as error:
            raise SettingError(
                [f"{name} of {found[1]!r} is {text!r}"], expected=str(error), hint=EXAMPLE
            ) from error
    return found[1], facts


def _pairs(text: str) -> dict[str, str]:
    """Split `a=1,b=2,3` into {"a": "1", "b": "2,3"}."""
    pairs: dict[str, str] = {}
    name = ""
    for part in text.split(","):
        word, equals, value = part.partition("=")
        if equals and re.fullmatch(r"[A-Za-z][A-Za-z_-]*", word):
            name = word.replace("-", "_")
            if name not in _FACTS:
                raise UnknownName("fact of a checkpoint", word, _FACTS, hint=EXAMPLE)
            pairs[name] = value
        else:
            pairs[name] += f",{part}"
    return pairs


def _triple(text: str) -> Triple:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise ValueError("three numbers for RGB values in 0 to 1, or one for all three")
    red, green, blue = numbers * (3 // len(numbers))
    return red, green, blue


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ValueError("a number from 1 on")
    return int(text)


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return text

    return read


# by the name of the flag: the argument of `resolve`, and what reads the value
_FACTS: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "arch": ("arch", str),
    "num_heads": ("heads", _count),
    "native_px": ("native_px", _count),
    "mean": ("mean", _triple),
    "std": ("std", _triple),
    "position_rule": ("position_rule", _one_of(*get_args(PositionRule))),
    "pooling": ("pooling", _one_of(*get_args(Pooling))),
    "state_key": ("state_key", str),
    "prefix": ("prefix", str),
    "ignore": ("ignore", lambda text: tuple(text.split(","))),
    "tokens": ("tokens", str),
}
