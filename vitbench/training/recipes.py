"""The recipes that ship: each method as its released code defines it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from vitbench.data.multicrop import dino_crops, moby_crops, selfpatch_crops
from vitbench.errors import BadPlugin
from vitbench.objectives.settings import Dino, Moby, Patch, Region
from vitbench.registry import PluginEntry, Registry
from vitbench.training.layout import Layout
from vitbench.training.optimizer import AdamW
from vitbench.training.recipe import Recipe, Term
from vitbench.training.schedules import Cosine, CosineWithOverlappingWarmup

RecipeMaker = Callable[[], Recipe]
RecipePresets = Mapping[str, Mapping[str, Any]]  # names and the settings of a recipe that they fix


def offered_with(
    *, presets: RecipePresets = MappingProxyType({}), layout: Layout | None = None
) -> Callable[[RecipeMaker], RecipeMaker]:
    """Give a function that makes a recipe what else belongs to its method.

    Args:
        presets: Published variants: by name, the settings of the recipe that each fixes.
        layout: The training file of the method's own code, which `vitbench export` then writes.
    """

    def decorate(maker: RecipeMaker) -> RecipeMaker:
        made: Any = maker
        made.presets, made.layout = presets, layout
        return maker

    return decorate


def presets_with(maker: RecipeMaker) -> RecipePresets:
    """Return the presets that a recipe is offered with."""
    found: RecipePresets = getattr(maker, "presets", {})
    return found


def layout_with(maker: RecipeMaker) -> Layout | None:
    """Return the training file that a recipe is offered with."""
    found: Layout | None = getattr(maker, "layout", None)
    return found


def dino() -> Recipe:
    """DINO with the defaults of its code (facebookresearch/dino 7c446df): ViT-S/16, 100 epochs."""
    return Recipe(name="dino", terms=(Term(1.0, Dino()),), crops=dino_crops())


def selfpatch() -> Recipe:
    """DINO + SelfPatch by the command of its README (alinlab/SelfPatch 81aef14): 300 epochs."""
    return replace(
        dino(),
        name="selfpatch",
        terms=(Term(1.0, Dino(center_crops="all")), Term(0.1, Patch())),
        aggregation="class-attention",
        crops=selfpatch_crops(),
        epochs=300,
        batch_size=1024,
    )


def esvit() -> Recipe:
    """EsViT, view and region (microsoft/esvit 2d6becd), for the ViT of its code's defaults."""
    return replace(
        dino(),
        name="esvit",
        terms=(Term(0.5, Dino()), Term(0.5, Region())),
        position_rule="esvit",
    )


def moby() -> Recipe:
    """MoBY (SwinTransformer/Transformer-SSL 4510de1) for its DeiT-S: 300 epochs on 8 x 64."""
    return Recipe(
        name="moby",
        terms=(Term(1.0, Moby()),),
        crops=moby_crops(),
        drop_path=0.2,
        optimizer=AdamW(
            learning_rate=CosineWithOverlappingWarmup(1e-3, 5e-6, 5, warmup_from=5e-7),
            batch_unit=512,
            weight_decay=Cosine(0.05, 0.05),
            clip=5.0,
            clip_by="global",
        ),
        teacher_momentum=Cosine(0.99, 1.0, ahead=1),  # MoBY's teacher moves before it looks
        epochs=300,
        batch_size=512,
    )


def moby_selfpatch() -> Recipe:
    """MoBY + SelfPatch as vitbench defines it: no code of it was released, so no reproduction.

    Class attention makes the vector that the projector gets; the patch term sees both views.
    """
    return replace(
        moby(),
        name="moby-selfpatch",
        terms=(*moby().terms, Term(0.1, Patch())),
        aggregation="class-attention",
    )


def _check(found: object, entry: PluginEntry) -> RecipeMaker:
    if not callable(found):
        raise BadPlugin(
            f"recipe {entry.name!r} of {entry.distribution!r} is no function.",
            expected="a function without arguments that returns a Recipe, maybe with presets"
            " (`vitbench.kit.offered_with`)",
            found=type(found).__name__,
        )
    return found


recipes: Registry[RecipeMaker] = Registry("recipe", "vitbench.recipes", _check)
