"""The flags of settings classes, from which both the parser and the help are made."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from vitbench.settings import FieldFacts, facts, is_component


@dataclass(frozen=True, slots=True)
class Flag:
    """One field of a settings class; a field that holds settings of its own has inner flags."""

    name: str  # of the field
    path: str  # with the fields around it: method.learning.steps
    hint: Any  # the type of its value
    default: Any  # MISSING: the value must be given
    facts: FieldFacts
    positional: bool = False
    inner: "tuple[Flag, ...]" = ()

    @property
    def required(self) -> bool:
        """Whether the value must be given."""
        return self.default is dataclasses.MISSING


def flags_of(
    kind: type,
    defaults: Mapping[str, Any],
    positional: Sequence[str] = (),
    within: str = "",
) -> tuple[Flag, ...]:
    """Return the flags of a settings class.

    Args:
        kind: The dataclass.
        defaults: Defaults that replace the fields' own (a preset's). Where a field may hold
            settings of several classes, its default decides which flags there are.
        positional: Names of fields that are given without a flag.
        within: Path of the field whose settings these are, with a dot at its end.
    """
    hints = get_type_hints(kind)
    return tuple(
        _flag(
            item,
            hints[item.name],
            defaults.get(item.name, item.default),
            item.name in positional,
            within,
        )
        for item in dataclasses.fields(kind)
        if item.init
    )


def values_of(component: Any) -> dict[str, Any]:
    """Return the settings of a component by their names, one level deep."""
    items = (item for item in dataclasses.fields(component) if item.init)
    return {item.name: getattr(component, item.name) for item in items}


def _flag(
    item: "dataclasses.Field[Any]", hint: Any, default: Any, positional: bool, within: str
) -> Flag:
    path = f"{within}{item.name}"
    inner: tuple[Flag, ...] = ()
    if is_component(default):
        hint = type(default)
        inner = flags_of(hint, values_of(default), within=f"{path}.")
    return Flag(item.name, path, hint, default, facts(item), positional, inner)
