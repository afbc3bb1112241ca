"""The recipes that ship: each method as its code defines it, and the published variants of it."""

from collections.abc import Callable
from dataclasses import replace

from vitbench.data.multicrop import dino_crops, selfpatch_crops
from vitbench.objectives.dino import Dino
from vitbench.objectives.patch import Patch
from vitbench.training.recipe import Recipe, Term


def dino() -> Recipe:
    """DINO with the defaults of its code: ViT-S/16, 100 epochs (facebookresearch/dino 7c446df)."""
    return Recipe(name="dino", terms=(Term(1.0, Dino()),), crops=dino_crops())


def selfpatch() -> Recipe:
    """DINO + SelfPatch as released (alinlab/SelfPatch 81aef14), for ViT-S/16 as its README."""
    return replace(
        dino(),
        name="selfpatch",
        terms=(Term(1.0, Dino(centre_crops="all")), Term(0.1, Patch())),
        aggregation="class-attention",
        crops=selfpatch_crops(),
        epochs=300,
        batch_size=1024,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"dino": dino, "selfpatch": selfpatch}
