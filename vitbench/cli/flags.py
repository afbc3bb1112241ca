"""The command line of settings: every field of a component and of the options becomes a flag."""

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args

from vitbench.cli.flag_spec import Flag, flags_of, values_of
from vitbench.cli.help_text import FlagGroup, help_text
from vitbench.errors import SettingError
from vitbench.settings import flag, is_component, problems

T = TypeVar("T")
HELP = frozenset({"-h", "--help"})


def parse(
    kinds: Mapping[str, type],
    arguments: Sequence[str],
    *,
    prog: str,
    description: str,
    defaults: Mapping[str, Any] | None = None,
    positional: Sequence[str] = (),
) -> list[Any]:
    """Read the flags of several settings classes from one command line.

    Args:
        kinds: Dataclasses whose fields become flags, by the title of their flags in the help. The
            fields of a field that holds settings of its own are named after it, as in
            `--crops.local-size`. Where two classes have a field of one name, the first class gets
            the flag and the other keeps its default.
        arguments: The words after the command. `--help` prints the help and ends the program.
        prog: The command, as the help shows it.
        description: What the command does, for the help.
        defaults: Defaults that replace the fields' own (a preset's).
        positional: Names of fields that are given without a flag.

    Returns:
        One instance of each class. A word that is no flag or value ends the program with exit
        code 2.

    Raises:
        SettingError: Values outside the limits that their settings declare, all of them at once.
    """
    defaults = defaults or {}
    groups = _groups(kinds, defaults, positional)
    if HELP & {*arguments}:
        print(help_text(prog, description, groups), end="")
        raise SystemExit(0)
    _refuse_empty_paths([one for group in groups for one in group.flags], arguments)
    found = _read([one for group in groups for one in group.flags], arguments, prog)
    made = [
        _made(kind, found, defaults, {one.name for one in group.flags})
        for kind, group in zip(kinds.values(), groups, strict=True)
    ]
    outside = [text for settings in made for text in problems(settings)]
    if outside:
        raise SettingError(outside)
    return made


def _refuse_empty_paths(flags: Sequence[Flag], arguments: Sequence[str]) -> None:
    """Refuse an empty text for a path, as `--out "$OUT"` gives where OUT is not set.

    Raises:
        SettingError: It would mean the current folder.
    """
    paths = [flag(one.path) for one in flags if Path in (one.hint, *get_args(one.hint))]
    pairs = {*pairwise(arguments)}
    empty = [name for name in paths if (name, "") in pairs or f"{name}=" in arguments]
    if empty:
        raise SettingError(
            [f"{name} is empty, expected a path" for name in empty],
            hint="the current folder is written as a dot: .",
        )


def taken(arguments: Sequence[str], flag: str) -> tuple[str | None, list[str]]:
    """Take `--flag VALUE` or `--flag=VALUE` out of the words; return the value and the rest."""
    rest = list(arguments)
    for index, word in enumerate(rest):
        if word == flag and index + 1 < len(rest):
            return rest[index + 1], rest[:index] + rest[index + 2 :]
        if word.startswith(f"{flag}="):
            return word.partition("=")[2], rest[:index] + rest[index + 1 :]
    return None, rest


def _groups(
    kinds: Mapping[str, type], defaults: Mapping[str, Any], positional: Sequence[str]
) -> list[FlagGroup]:
    """Return the flags of each class, without names that an earlier class has."""
    groups: list[FlagGroup] = []
    names: set[str] = set()
    for title, kind in kinds.items():
        flags = [one for one in flags_of(kind, defaults, positional) if one.name not in names]
        names |= {one.name for one in flags}
        groups.append(FlagGroup(title, flags))
    return groups


def _read(flags: Sequence[Flag], arguments: Sequence[str], prog: str) -> Any:
    """Return an object with the value of every flag, read from the command line by tyro."""
    import tyro  # help does without

    return tyro.cli(
        _dataclass("Settings", flags),
        args=list(arguments),
        prog=prog,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
    )


def _dataclass(name: str, flags: Sequence[Flag]) -> type:
    """Make the dataclass that tyro reads."""
    import tyro

    fields: list[tuple[str, Any, Any]] = []
    for one in flags:
        if one.inner:
            kind = _dataclass(one.name.title(), one.inner)
            fields.append((one.name, kind, dataclasses.field(default_factory=kind)))
            continue
        hint = Annotated[one.hint, tyro.conf.Positional] if one.positional else one.hint
        fields.append((one.name, hint, dataclasses.field(default=one.default)))
    return dataclasses.make_dataclass(name, fields, frozen=True, kw_only=True)


def _made(kind: type, found: Any, defaults: Mapping[str, Any], names: set[str]) -> Any:
    """Make settings of a class out of the values that were read."""
    values = {}
    for item in dataclasses.fields(kind):
        default = defaults.get(item.name, item.default)
        if item.name not in names:
            continue
        value = getattr(found, item.name)
        if is_component(default):
            inner = values_of(default)
            value = _made(type(default), value, inner, {*inner})
        values[item.name] = value
    return kind(**values)
