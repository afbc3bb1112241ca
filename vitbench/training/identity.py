"""The identity of a training: its recipe, its data, and every setting that moves a number.

The facts enter by going through the fields of the settings, so a new one can't be forgotten; a
field stays out only where it is declared with `identity=False`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from vitbench.errors import SettingError, listed
from vitbench.settings import as_dict, flag
from vitbench.training.recipe import Recipe

Identity = dict[str, Any]  # by flag, such as `--optimizer.clip`, and facts of the data by name
SHOWN = 64  # letters of a value from which on it is cut
UNKNOWN = "not known"  # of a setting that the version of the snapshot did not have


def identity_of(recipe: Recipe, *settings: Any, data: Mapping[str, Any]) -> Identity:
    """Return the facts that decide what a training learns.

    Args:
        recipe: What to learn; a term without weight does not count.
        settings: How to read and compute, as dataclasses of settings.
        data: Facts of the images by name, such as their number and fingerprint.
    """
    found: Identity = {"recipe": recipe.name}
    own = as_dict(recipe, identity_only=True)
    del own["name"], own["terms"]
    for values in (own, *(as_dict(part, identity_only=True) for part in settings)):
        found |= dict(_flat(values))
    for term in recipe.active:
        name = term.objective.name
        found |= {flag(f"{name}_weight"): term.weight}
        found |= dict(_flat(as_dict(term.objective, identity_only=True), f"{name}."))
    return found | dict(data)


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the facts that differ: by name, what each was and what it is."""
    return {
        name: (before.get(name, UNKNOWN), now.get(name, UNKNOWN))
        for name in (*before, *(name for name in now if name not in before))
        if before.get(name, UNKNOWN) != now.get(name, UNKNOWN)
    }


def refused(where: str, changed: Mapping[str, tuple[Any, Any]]) -> SettingError:
    """Return the refusal to go on with a training that was made otherwise."""
    before, now = (
        listed([f"{name} {_shown(values[side])}" for name, values in changed.items()])
        for side in (0, 1)
    )
    return SettingError(
        [f"{where} holds a training that was made with other settings or other data"],
        expected=before,
        found=now,
        hint="repeat the settings, or --out NEW for another training, or --allow-changes to go on",
    )


def _flat(values: Mapping[str, Any], within: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting under its flag, those of nested settings under both names."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{within}{name}.")
        else:
            yield flag(within + name), value


def _shown(value: Any) -> str:
    """Write a value as its flag takes it; of a fingerprint, the beginning."""
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) < SHOWN else f"{text[:12]}…"
