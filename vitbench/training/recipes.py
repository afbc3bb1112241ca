"""The recipes that ship: each method as its released code defines it."""

from collections.abc import Callable
from dataclasses import replace

from vitbench.data.multicrop import dino_crops, selfpatch_crops
from vitbench.errors import BadPlugin
from vitbench.objectives.dino import Dino
from vitbench.objectives.patch import Patch
from vitbench.registry import Claim, Registry
from vitbench.training.recipe import Recipe, Term

RecipeMaker = Callable[[], Recipe]


def dino() -> Recipe:
    """DINO with the defaults of its code (facebookresearch/dino 7c446df): ViT-S/16, 100 epochs."""
    return Recipe(name="dino", terms=(Term(1.0, Dino()),), crops=dino_crops())


def selfpatch() -> Recipe:
    """DINO + SelfPatch by the command of its README (alinlab/SelfPatch 81aef14): 300 epochs."""
    return replace(
        dino(),
        name="selfpatch",
        terms=(Term(1.0, Dino(centre_crops="all")), Term(0.1, Patch())),
        aggregation="class-attention",
        crops=selfpatch_crops(),
        epochs=300,
        batch_size=1024,
    )


def _check(found: object, claim: Claim) -> RecipeMaker:
    if not callable(found):
        raise BadPlugin(
            f"recipe {claim.name!r} of {claim.distribution!r} is no function.",
            expected="a function without arguments that returns a Recipe",
            found=type(found).__name__,
        )
    return found


recipes: Registry[RecipeMaker] = Registry("recipe", "vitbench.recipes", _check)
