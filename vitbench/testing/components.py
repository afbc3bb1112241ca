"""Checks that every scorer, reader and recipe must pass, bundled or not."""

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vitbench.data.dataset import Reader, find_root
from vitbench.engine.protocol import Scorer, contract_problems
from vitbench.settings import as_dict, problems
from vitbench.testing.finding import Finding, found_by
from vitbench.training.presets import presets_of, with_preset
from vitbench.training.recipe import Recipe, check_recipe
from vitbench.training.train import train

SPLITS = ("train", "val")


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


def check_reader(name: str, reader: Reader, *, data: str = "") -> Iterator[Finding]:
    """Check a reader of data, as far as the data that are there allow.

    Args:
        name: The kind of data that it reads.
        reader: The function.
        data: A path or the name of a folder under `$VITBENCH_DATA`; empty: nothing is read.
    """
    checks: dict[str, Callable[[], str]] = {
        "is called with a folder and a split": lambda: _takes(reader)
    }
    if data:
        for split in SPLITS:
            checks[f"reads the split {split}"] = lambda split=split: _reads(  # type: ignore[misc]
                reader, find_root(data), name, split
            )
    yield from found_by(checks)


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


def _takes(reader: Reader) -> str:
    inspect.signature(reader).bind(Path(), "val")
    return ""


def _reads(reader: Reader, root: Path, kind: str, split: str) -> str:
    dataset = reader(root, split)
    if not len(dataset):
        return f"no items in {root.name}/{split}"
    dataset[0]
    told = []
    if dataset.info.kind != kind:
        told.append(f"info.kind is {dataset.info.kind!r}, expected {kind!r}")
    if not len(dataset) == len(dataset.ids) == dataset.info.items:
        told.append(
            f"{len(dataset)} items, {len(dataset.ids)} ids, info.items {dataset.info.items}"
        )
    if len(set(dataset.ids)) < len(dataset.ids):
        told.append("two items share an id")
    return "; ".join(told)


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
