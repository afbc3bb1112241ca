"""Checks that every scorer and recipe must pass, bundled or not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vitbench.engine.protocol import Scorer, contract_problems
from vitbench.settings import as_dict, problems
from vitbench.testing.finding import Finding, found_by
from vitbench.training.presets import presets_of, with_preset
from vitbench.training.recipe import Recipe, check_recipe
from vitbench.training.train import train


def check_scorer(kind: type[Scorer]) -> Iterator[Finding]:
    """Check what a scorer declares; whether its scores are right only predictions can tell.

    Args:
        kind: The scorer's class.
    """
    yield from found_by(
        {
            "declares what the contract asks": lambda: "; ".join(contract_problems(kind)),
            "its defaults lie inside their limits": lambda: "; ".join(problems(kind())),
            "its settings can be stored and compared": lambda: _stored(kind()),
        }
    )


def check_recipe_of(name: str, maker: Callable[[], Recipe]) -> Iterator[Finding]:
    """Check a recipe and its presets, and train one step of it on built-in data.

    Args:
        name: The name that it is registered under.
        maker: The function that returns the recipe.
    """
    yield from found_by(
        {
            "gives a recipe of its name": lambda: _named(name, maker),
            "its settings lie inside their limits": lambda: _inside(maker()),
            "its presets lie inside their limits": lambda: _presets(maker()),
            "trains a step on built-in data": lambda: _trains(maker()),
        }
    )


def _stored(component: Any) -> str:
    json.dumps(as_dict(component))
    return ""


def _named(name: str, maker: Callable[[], Recipe]) -> str:
    made: Any = maker()
    if not isinstance(made, Recipe):
        return f"it returns a {type(made).__name__}"
    own = name.rpartition("/")[2]
    return "" if made.name == own else f"the recipe's name is {made.name!r}, not {own!r}"


def _inside(recipe: Recipe) -> str:
    check_recipe(recipe)
    return ""


def _presets(recipe: Recipe) -> str:
    for preset in presets_of(recipe):
        check_recipe(with_preset(recipe, preset))
    return ""


def _trains(recipe: Recipe) -> str:
    little = replace(with_preset(recipe, "small"), batch_size=4, epochs=1)
    with TemporaryDirectory(prefix="vitbench-check-") as folder:
        train(little, Path(folder) / "run", steps=1)
    return ""
