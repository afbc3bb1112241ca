"""The help of `vitbench train`: recipes and their presets, one line each."""

import inspect
import textwrap
from collections.abc import Mapping

from vitbench.training.presets import PRESETS, presets_of
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import recipes

WIDTH = 100


def usage() -> str:
    """Return the help of the command without a recipe."""
    known = {name: _first_line(recipes.get(name)) for name in recipes.names()}
    return "\n".join(
        [
            "usage: vitbench train RECIPE [--preset NAME] [--data DATA] [--out RUN] [flags]",
            "",
            "Train a backbone without labels; the folder of the run is a checkpoint afterwards.",
            "The same command continues a run that was stopped.",
            "",
            *_rows("recipes", known),
            "",
            "`vitbench train RECIPE --help` lists the presets and flags of a recipe.",
        ]
    )


def recipe_help(recipe: Recipe) -> str:
    """Return what `vitbench train RECIPE --help` says before the flags."""
    lines = {name: _first_line(PRESETS.get(name)) for name in presets_of(recipe)}
    own = {name: text or "a preset of the recipe's own" for name, text in lines.items()}
    return "\n".join(
        [
            textwrap.fill(_first_line(recipes.get(recipe.name)), WIDTH, break_on_hyphens=False),
            "",
            *_rows("presets (--preset NAME)", own),
            "",
            "examples:",
            f"  vitbench train {recipe.name} --preset small --data synthetic --out runs/mine",
            f"  torchrun --nproc-per-node 8 -m vitbench train {recipe.name} --data imagenet",
        ]
    )


def _first_line(documented: object) -> str:
    """Return the first paragraph of a docstring as one line."""
    text = inspect.getdoc(documented) if documented is not None else ""
    return " ".join((text or "").split("\n\n")[0].split())


def _rows(title: str, texts: Mapping[str, str]) -> list[str]:
    width = max(map(len, texts), default=0)
    return [
        f"{title}:",
        *(
            textwrap.fill(
                text,
                WIDTH,
                initial_indent=f"  {name:{width}}  ",
                subsequent_indent=" " * (width + 4),
                break_on_hyphens=False,
            )
            for name, text in texts.items()
        ),
    ]
