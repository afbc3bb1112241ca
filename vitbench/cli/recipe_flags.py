"""Flags of a recipe: its settings, and those of each loss term under the term's name."""

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from vitbench.settings import setting
from vitbench.training.recipe import Recipe, Term

SKIPPED = ("name", "terms")


def as_flags(recipe: Recipe) -> type:
    """Return a settings class that tyro can read: one field for each setting or group of them.

    The types are those of the values (a `Cosine`, not any schedule), so a recipe decides which
    flags there are; a term `patch` gives `--patch.k` and `--patch-weight`.
    """
    hints = get_type_hints(Recipe)
    fields: list[tuple[str, Any, Any]] = [
        _field(item, hints[item.name], getattr(recipe, item.name))
        for item in dataclasses.fields(recipe)
        if item.name not in _skipped(recipe)
    ]
    for term in recipe.terms:
        name = term.objective.name
        mirrored = _mirror(term.objective)
        weight: Any = setting(term.weight, help=f"weight of the term {name!r} in the loss")
        fields += [
            (name, type(mirrored), setting(mirrored, help=f"settings of the loss term {name!r}")),
            (f"{name}_weight", float, weight),
        ]
    return dataclasses.make_dataclass("RecipeFlags", fields, frozen=True, kw_only=True)


def from_flags(recipe: Recipe, found: Any) -> Recipe:
    """Return the recipe with the values that the flags have."""
    terms = tuple(
        Term(
            getattr(found, f"{term.objective.name}_weight"),
            _restored(term.objective, getattr(found, term.objective.name)),
        )
        for term in recipe.terms
    )
    changes: Mapping[str, Any] = {
        item.name: _restored(getattr(recipe, item.name), getattr(found, item.name))
        for item in dataclasses.fields(recipe)
        if item.name not in _skipped(recipe)
    }
    return dataclasses.replace(recipe, terms=terms, **changes)


def _skipped(recipe: Recipe) -> set[str]:
    """Return the fields that are no flags: what a recipe lacks has no settings either."""
    return {*SKIPPED, *(["teacher_momentum"] if recipe.teacher_momentum is None else [])}


def _field(item: "dataclasses.Field[Any]", hint: Any, value: Any) -> tuple[str, Any, Any]:
    if dataclasses.is_dataclass(value):
        value = _mirror(value)
        hint = type(value)
    return item.name, hint, dataclasses.field(default=value, metadata=item.metadata)


def _mirror(component: Any) -> Any:
    """Copy a component into a class whose fields have the types of its values."""
    hints = get_type_hints(type(component))
    fields = [
        _field(item, hints[item.name], getattr(component, item.name))
        for item in dataclasses.fields(component)
    ]
    return dataclasses.make_dataclass(type(component).__name__, fields, frozen=True, kw_only=True)()


def _restored(original: Any, found: Any) -> Any:
    """Turn a mirrored component back into one of its own class."""
    if not dataclasses.is_dataclass(original):
        return found
    changes = {
        item.name: _restored(getattr(original, item.name), getattr(found, item.name))
        for item in dataclasses.fields(original)
    }
    return dataclasses.replace(original, **changes)  # type: ignore[type-var]
