"""Published variants of a training run: each turns a method's recipe into one that was reported.

Where the paper and the released code disagree, the docstring says which one a preset follows.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from vitbench.errors import SettingError, UnknownName
from vitbench.objectives.settings import Dino, Moby, Patch
from vitbench.registry import BUNDLED
from vitbench.training.optimizer import AdamW
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import RecipePresets, presets_with, recipes
from vitbench.training.schedules import Cosine, CosineWithOverlappingWarmup, EpochCosine

SWIN_TINY = "swin_tiny_patch4_window7_224"


def imagenet(recipe: Recipe) -> Recipe:
    """ViT-S/16 on ImageNet, batch 1024, 200 epochs: SelfPatch's supplementary A.

    The code's default and supplementary D say 300 (`imagenet-300`). Scales of the crops are
    those of the method's code; the supplementary does not state them. MoBY and MoBY + SelfPatch
    are as Transformer-SSL trains its DeiT-S: 300 epochs on 8 x 64 images.
    """
    length, images = (300, 512) if has_term(recipe, Moby) else (200, 1024)
    return replace(recipe, arch="vit_small_patch16_224", epochs=length, batch_size=images)


def imagenet_300(recipe: Recipe) -> Recipe:
    """As `imagenet`, with the 300 epochs of SelfPatch's README, code and supplementary D."""
    return replace(imagenet(recipe), epochs=300)


def imagenet_swin(recipe: Recipe) -> Recipe:
    """Swin-T on ImageNet, 300 epochs on 512 images: the READMEs of EsViT and of Transformer-SSL.

    EsViT's teacher warms up to a temperature of 0.07 and its last layers are not normalized;
    MoBY's Swin has an epsilon of 1e-5 in its norms. Other methods published no such run.
    """
    swin = replace(recipe, arch=SWIN_TINY, epochs=300, batch_size=512)
    return replace(swin, norm_eps=1e-5) if has_term(recipe, Moby) else _warmed(swin)


def imagenet_dino_100(recipe: Recipe) -> Recipe:
    """DINO's vanilla run of its README: 100 epochs on 8 x 64 images; 20-NN 69.3, linear 74.0."""
    return replace(recipe, arch="vit_small_patch16_224", epochs=100, batch_size=512)


def imagenet_dino_boosted(recipe: Recipe) -> Recipe:
    """DINO's boosted run of its README: 300 epochs on 16 x 64 images; 20-NN 73.3, linear 76.0."""
    return replace(_warmed(recipe), arch="vit_small_patch16_224", epochs=300, batch_size=1024)


def imagenet_vissl_300(recipe: Recipe) -> Recipe:
    """VISSL's DINO ViT-S/16, the baseline that SelfPatch's supplementary names.

    Follows VISSL's dino_16gpus_deits16.yaml: learning rate and decay change once an epoch, the
    saturation jitter is 0.4 where DINO's code has 0.2, the last layer is not normalized.
    """
    boosted = imagenet_dino_boosted(recipe)
    optimizer = AdamW(
        learning_rate=EpochCosine(2e-3, 1e-5, 10, warmup_from=1e-5),
        batch_unit=1024,
        weight_decay=EpochCosine(0.04, 0.4),
        clip=recipe.optimizer.clip,
    )
    crops = replace(recipe.crops, global_scale=(0.4, 1.0), local_scale=(0.05, 0.4), saturation=0.4)
    return replace(boosted, optimizer=optimizer, crops=crops)


def coco(recipe: Recipe) -> Recipe:
    """ViT-Ti/16 on COCO train2017, 200 epochs, batch 256: supplementary A, Table 3.

    Two local crops, none for MoBY, whose own details stay; K = 4096 everywhere. The teacher's
    momentum for this batch is not stated; 0.996 is the code's default (its help text recommends
    0.9995).
    """
    return replace(
        with_terms(recipe, prototypes=4096),
        arch="vit_tiny_patch16_224",
        crops=replace(recipe.crops, local_crops=min(2, recipe.crops.local_crops)),
        epochs=200,
        batch_size=256,
    )


def coco_swin(recipe: Recipe) -> Recipe:
    """As `coco`, with Swin-T: the other backbone of the supplementary's MoBY rows."""
    norm_eps = imagenet_swin(recipe).norm_eps
    return replace(coco(recipe), arch=SWIN_TINY, norm_eps=norm_eps)


def imagenet10(recipe: Recipe) -> Recipe:
    """ViT-Ti/16 on ten ImageNet classes: Table 5, which states neither size nor length.

    Ours: the supplementary's COCO settings (K = 4096, 200 epochs, batch 256) with all 8 local
    crops. Patches of 8 or 32 pixels: `--arch vit_tiny_patch8_224`.
    """
    return replace(coco(recipe), crops=recipe.crops)


def small(recipe: Recipe) -> Recipe:
    """Minutes on a CPU: a ViT of six blocks on crops of 64 pixels, for built-in data.

    The values are ours, found by trying: many steps of few images, and local crops that are
    small parts of the image, so that patterns are learned, not grounds. A patch term needs
    3 x 3 patches, hence larger local crops and fewer of them. MoBY keeps its schedule.
    """
    less = with_terms(recipe, prototypes=256, hidden_dim=256, bottleneck_dim=64, queue=1024)
    views = replace(recipe.crops, global_size=64, blur=(0.5, 0.1, 0.1), blur_radius=(0.1, 0.6))
    little = replace(
        less, arch="vit_mini_patch16_64", crops=views, drop_path=0.0, epochs=20, batch_size=64
    )
    if has_term(recipe, Moby):  # its own schedules, a larger step
        rate = CosineWithOverlappingWarmup(8e-3, 5e-6, 2, warmup_from=5e-7)
        return replace(little, optimizer=replace(recipe.optimizer, learning_rate=rate))
    local_size, local_crops = (48, 4) if has_term(recipe, Patch) else (32, 6)
    return replace(
        little,
        crops=replace(
            views,
            local_size=local_size,
            local_crops=local_crops,
            global_scale=(0.25, 1.0),
            local_scale=(0.05, 0.2),
        ),
        optimizer=replace(recipe.optimizer, learning_rate=Cosine(1e-3, 1e-5, 1), batch_unit=16),
        teacher_momentum=recipe.teacher_momentum and Cosine(0.98, 1.0),
        epochs=8,
        batch_size=16,
    )


PRESETS: dict[str, Callable[[Recipe], Recipe]] = {
    "imagenet": imagenet,
    "imagenet-300": imagenet_300,
    "imagenet-swin": imagenet_swin,
    "imagenet-dino-100": imagenet_dino_100,
    "imagenet-dino-boosted": imagenet_dino_boosted,
    "imagenet-vissl-300": imagenet_vissl_300,
    "imagenet10": imagenet10,
    "coco": coco,
    "coco-swin": coco_swin,
    "small": small,
}
OF_DATA = ("imagenet", "imagenet10", "coco")  # named after the data that they are for
OF_DINO = ("imagenet-dino-100", "imagenet-dino-boosted", "imagenet-vissl-300")


def presets_of(recipe: Recipe) -> tuple[str, ...]:
    """Return the names of the presets that a recipe has, its own first.

    A recipe of another distribution has its own and `small`: the others are runs of papers.
    """
    shared = (name for name in PRESETS if name not in OF_DINO or has_term(recipe, Dino))
    if is_from_outside(recipe):
        shared = (name for name in PRESETS if name == "small")
    return tuple(dict.fromkeys([*own_presets(recipe), *shared]))


def own_presets(recipe: Recipe) -> RecipePresets:
    """Return the settings of the presets that come with a recipe."""
    return presets_with(recipes.get(recipe.name)) if recipe.name in recipes.names() else {}


def is_from_outside(recipe: Recipe) -> bool:
    """Tell whether a recipe is one of another distribution."""
    homes = {entry.name: entry.distribution for entry in recipes.entries()}
    return homes.get(recipe.name, BUNDLED) != BUNDLED


def preset_for(recipe: Recipe, data: str) -> str | None:
    """Return the preset that is named after some data, by the name of its folder; else None."""
    name = Path(data).name.lower()
    return name if name in OF_DATA and name in presets_of(recipe) else None


def with_preset(recipe: Recipe, name: str) -> Recipe:
    """Return a recipe as a preset has it.

    Raises:
        UnknownName: If there is no preset of that name.
        SettingError: If it is one of DINO's runs, and the recipe has no such term.
    """
    own = own_presets(recipe)
    if name in own:
        return replace(recipe, **own[name])
    known = presets_of(recipe)
    if name in OF_DINO and name not in known and not is_from_outside(recipe):
        raise SettingError(
            [f"preset {name!r} is a run of DINO, and {recipe.name!r} has no term 'dino'"],
            hint=f"it has {', '.join(known)}",
        )
    if name not in known:
        raise UnknownName("preset", name, known)
    return PRESETS[name](recipe)


def with_terms(recipe: Recipe, **changes: Any) -> Recipe:
    """Return a recipe with settings changed in every term that has them."""
    terms = []
    for term in recipe.terms:
        settings: Any = term.objective
        known = {setting.name for setting in fields(settings)} & changes.keys()
        own = {name: changes[name] for name in known}
        terms.append(replace(term, objective=replace(settings, **own)))
    return replace(recipe, terms=tuple(terms))


def has_term(recipe: Recipe, kind: type) -> bool:
    """Tell whether a recipe has a term with settings of this class."""
    return any(isinstance(term.objective, kind) for term in recipe.terms)


def _warmed(recipe: Recipe) -> Recipe:
    """Let teachers warm up as DINO's boosted run does, with free lengths of the prototypes."""
    return with_terms(
        recipe,
        teacher_temperature=0.07,
        warmup_teacher_temperature_epochs=30,
        normalize_last_layer=False,
    )
