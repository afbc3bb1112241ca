"""Flags from settings: every field of a component and of the options becomes one, by tyro."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar, get_type_hints

import tyro

from vitbench.errors import SettingError
from vitbench.settings import facts, is_component, problems

T = TypeVar("T")


def parse(
    kinds: Sequence[type],
    arguments: Sequence[str],
    *,
    prog: str,
    description: str,
    defaults: Mapping[str, Any] | None = None,
    positional: Sequence[str] = (),
) -> list[Any]:
    """Read the flags of several settings classes from one command line.

    Args:
        kinds: Dataclasses whose fields become flags; those of a field that is settings itself are
            named after it, `--crops.local-size`.
        arguments: The words after the command.
        prog: The command, as help shows it.
        description: What it does, for help.
        defaults: Defaults that replace the fields' own (a preset's).
        positional: Names of fields that are given without a flag.

    Returns:
        One instance of each class. A word that is no flag or value ends the program with exit
        code 2.

    Raises:
        SettingError: Values outside the limits that their settings declare, all of them at once.
    """
    fields = [field for kind in kinds for field in _fields(kind, defaults or {}, positional)]
    found: Any = tyro.cli(
        dataclasses.make_dataclass("Settings", fields, frozen=True, kw_only=True),
        args=list(arguments),
        prog=prog,
        description=description,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
    )
    made = [_made(kind, found, defaults or {}) for kind in kinds]
    outside = [text for settings in made for text in problems(settings)]
    if outside:
        raise SettingError(outside)
    return made


def _fields(
    kind: type, defaults: Mapping[str, Any], positional: Sequence[str] = ()
) -> list[tuple[str, Any, Any]]:
    hints = get_type_hints(kind)
    return [
        _field(
            item,
            hints[item.name],
            defaults.get(item.name, item.default),
            item.name in positional,
        )
        for item in dataclasses.fields(kind)
    ]


def _field(
    item: "dataclasses.Field[Any]", hint: Any, default: Any, positional: bool
) -> tuple[str, Any, Any]:
    if is_component(default):  # settings of their own: the default says which
        hint = dataclasses.make_dataclass(
            type(default).__name__,
            _fields(type(default), _values(default)),
            frozen=True,
            kw_only=True,
        )
        return item.name, hint, dataclasses.field(default_factory=hint)
    limits = facts(item)
    text = limits.help
    if limits.choices:
        text += f" ({', '.join(map(str, limits.choices))})"
    annotated: Any = Annotated[hint, tyro.conf.arg(help=text)]
    if positional:
        annotated = Annotated[annotated, tyro.conf.Positional]
    return item.name, annotated, dataclasses.field(default=default)


def _made(kind: type, found: Any, defaults: Mapping[str, Any]) -> Any:
    """Make settings of a class out of what tyro found."""
    values = {}
    for item in dataclasses.fields(kind):
        value, default = getattr(found, item.name), defaults.get(item.name, item.default)
        values[item.name] = (
            _made(type(default), value, _values(default)) if is_component(default) else value
        )
    return kind(**values)


def _values(component: Any) -> dict[str, Any]:
    return {item.name: getattr(component, item.name) for item in dataclasses.fields(component)}


def about(component: type) -> str:
    """Return the first paragraph of a component's docstring."""
    return (inspect.getdoc(component) or "").split("\n\n")[0]


def taken(arguments: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """Take `--flag VALUE` or `--flag=VALUE` out of the words; return the value and the rest."""
    rest = list(arguments)
    for index, word in enumerate(rest):
        if word == flag and index + 1 < len(rest):
            return rest[index + 1], rest[:index] + rest[index + 2 :]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2], rest[:index] + rest[index + 1 :]
    return None, rest
