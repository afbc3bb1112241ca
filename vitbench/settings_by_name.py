"""Settings told by their names: from Python, or from a study's file. Imports no torch."""

import dataclasses
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from vitbench.errors import SettingError

T = TypeVar("T")
hints_of = cache(get_type_hints)  # a study asks for those of a class a hundred times


def names_of(settings: Any) -> tuple[str, ...]:
    """Return the names of the settings of a class or of a component."""
    return tuple(item.name for item in dataclasses.fields(settings) if item.init)


def sorted_by_owner(
    settings: Mapping[str, Any], groups: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Give every setting to the first group that has its name, by the part before the first dot.

    Args:
        settings: Values by name; `method.learning.steps` names a setting within settings.
        groups: The names that each owner has, by what it is called in messages.

    Raises:
        SettingError: Nobody has one of them; says which settings there are.
    """
    known = [name for names in groups.values() for name in names]
    unknown = [name for name in settings if _head(name) not in known]
    if unknown:
        raise SettingError(
            [f"there is no setting {name!r}" for name in unknown],
            expected="; ".join(f"{what}: {', '.join(names)}" for what, names in groups.items()),
            found=", ".join(f"{name}={settings[name]!r}" for name in unknown),
            hint=_nearest(_head(unknown[0]), known),
        )
    taken: set[str] = set()
    found = []
    for names in groups.values():
        own = [name for name in settings if _head(name) in names and name not in taken]
        found.append({name: settings[name] for name in own})
        taken.update(own)
    return found


def with_values(component: T, values: Mapping[str, Any]) -> T:
    """Return settings with some of their values changed, those within settings by dotted names.

    Raises:
        SettingError: There is no such setting within another one.
    """
    own = {name: value for name, value in values.items() if "." not in name}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        head, dot, rest = name.partition(".")
        if dot:
            inner.setdefault(head, {})[rest] = value
    for head, told in inner.items():
        part = getattr(component, head, None)
        if not dataclasses.is_dataclass(part):
            raise SettingError([f"{head!r} has no settings of its own: {', '.join(told)}"])
        sorted_by_owner(told, {head: names_of(part)})
        own[head] = with_values(part, told)
    return dataclasses.replace(component, **converted(type(component), own))  # type: ignore[type-var]


def converted(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert typed values to those of settings: strings to paths, lists to tuples."""
    hints = hints_of(kind)
    return {
        name: Path(value)
        if isinstance(value, str) and Path in (hints[name], *get_args(hints[name]))
        else _tupled(value)
        for name, value in values.items()
    }


def _tupled(value: Any) -> Any:
    return tuple(map(_tupled, value)) if isinstance(value, list) else value


def _head(name: str) -> str:
    return name.partition(".")[0]


def _nearest(word: str, names: Sequence[str]) -> str:
    near = get_close_matches(word, names, n=1)
    return f"{near[0]}=…" if near else "one of these names"
