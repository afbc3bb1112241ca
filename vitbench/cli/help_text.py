"""The help of one command as plain text: what it does, then its flags in groups."""

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from vitbench.cli.flag_spec import Flag
from vitbench.settings import FieldFacts, flag

COLUMN = 28  # where the texts start; a longer flag has a line of its own
WIDEST = 100
MOST_SHOWN = 12  # values of a default that are written out
WORDS = {int: "N", float: "X", str: "TEXT", Path: "PATH", bool: "BOOL"}
HELP = ("-h, --help", "show this help")


@dataclass(frozen=True, slots=True)
class FlagGroup:
    """Flags under one title."""

    title: str
    flags: Sequence[Flag]


def help_text(prog: str, description: str, groups: Sequence[FlagGroup]) -> str:
    """Return the help of a command.

    Args:
        prog: The command, as typed.
        description: What it does; its lines are kept as they are.
        groups: Its flags.
    """
    positional = [one for group in groups for one in group.flags if one.positional]
    words = " ".join([prog, *map(_word, positional), "[flags]"])
    parts = [f"usage: {words}", description.strip()]
    if positional:
        parts.append("\n".join(_row(_word(one), _text(one)) for one in positional))
    parts += [text for group in groups for text in _sections(group)]
    return "\n\n".join([*filter(None, parts), _row(*HELP)]) + "\n"


def _sections(group: FlagGroup) -> Iterator[str]:
    """Yield the flags of a group, then those of the settings within its settings."""
    flat = [one for one in group.flags if not one.inner and not one.positional]
    if flat:
        yield "\n".join([f"{group.title}:", *(_row(_written(one), _text(one)) for one in flat)])
    for one in group.flags:
        if one.inner:
            yield from _sections(FlagGroup(f"{one.facts.help} ({flag(one.path)}.…)", one.inner))


def _row(left: str, text: str) -> str:
    """Write one flag and its text, wrapped beside it."""
    width = min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns) - COLUMN
    lines = textwrap.wrap(text, max(width, 32), break_on_hyphens=False) or [""]
    left = f"  {left}"
    first = f"{left:{COLUMN}}{lines[0]}" if len(left) < COLUMN - 1 else None
    rest = lines[1:] if first else lines
    return "\n".join([first or left, *(f"{'':{COLUMN}}{line}" for line in rest)])


def _written(one: Flag) -> str:
    """Write a flag as it is typed, with the kind of its value."""
    if one.hint is bool:
        return flag(_negated(one.path)) if one.default is True else flag(one.path)
    return f"{flag(one.path)} {value_word(one.hint)}"


def _negated(path: str) -> str:
    outer, dot, name = path.rpartition(".")
    return f"{outer}{dot}no_{name}"


def _text(one: Flag) -> str:
    """Return what a flag does, in the words of its negative where it switches something off."""
    if one.hint is bool:
        return switched_off(one.facts) if one.default is True else one.facts.help
    if one.required:
        return f"{one.facts.help} (required)"
    default = _default(one.default)
    return f"{one.facts.help} (default {default})" if default else one.facts.help


def switched_off(told: FieldFacts) -> str:
    """Return the help of the flag that switches a setting off."""
    return told.off or f"switch off: {told.help}"


def _default(value: object) -> str:
    """Write a default as it would be typed; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, tuple) and len(value) > MOST_SHOWN:
        return f"{len(value)} values, {value[0]} to {value[-1]}"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _word(one: Flag) -> str:
    """Return the name of a value without a flag: `CHECKPOINT…`, `OUT`."""
    if get_origin(one.hint) is tuple:
        return f"{one.name.upper().removesuffix('S')}…"
    return one.name.upper()


def value_word(hint: Any) -> str:
    """Say what kind of value a flag takes: `N`, `X X X`, `{val,train}`, `TEXT…`."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return f"{{{','.join(map(str, inner))}}}"
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return f"{value_word(inner[0])}…"
        return " ".join(map(value_word, inner))
    if inner:  # a union; None is what stands there if the flag is left out
        return "|".join(value_word(part) for part in inner if part is not NoneType)
    return WORDS.get(hint, getattr(hint, "__name__", "VALUE").upper())
