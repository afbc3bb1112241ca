"""Terms add up, and one without weight is not there."""

import inspect
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_training import NoiseLoader, tiny
from vitbench.data.multicrop import MultiCrop
from vitbench.errors import MissingAbility, SettingError, UnknownName
from vitbench.objectives.settings import Dino
from vitbench.training import RECIPES
from vitbench.training.optimizer import AdamW
from vitbench.training.options import ComputeConfig
from vitbench.training.presets import presets_of, with_preset
from vitbench.training.recipe import Recipe, Term, check_recipe
from vitbench.training.recipes import moby, recipes
from vitbench.training.schedules import Cosine, CosineWithOverlappingWarmup
from vitbench.training.trainer import Trainer

CPU = torch.device("cpu")
EXACT = ComputeConfig(precision="fp64")


def first_step(recipe: Recipe) -> tuple[dict[str, float], dict[str, Any]]:
    trainer = Trainer(recipe, steps_per_epoch=4, device=CPU, computing=EXACT)
    trainer.step = 4  # past the frozen epoch and the first learning rate, which is 0
    (batch, *_) = NoiseLoader(4).epoch(0)
    values = {key: value.item() for key, value in trainer.train_step(batch).items()}
    return values, trainer.student_teacher.student.state_dict()


def with_patch_weight(weight: float) -> Recipe:
    recipe = tiny("selfpatch")
    return replace(recipe, terms=(recipe.terms[0], Term(weight, recipe.terms[1].objective)))


def test_a_patch_term_without_weight_leaves_the_class_term_alone() -> None:
    recipe = tiny("selfpatch")
    alone = first_step(replace(recipe, terms=recipe.terms[:1]))
    torch.testing.assert_close(first_step(with_patch_weight(0.0)), alone, atol=0, rtol=0)


def test_selfpatch_without_its_term_trunk_and_center_is_dino() -> None:
    plain = tiny("dino")
    recipe = with_patch_weight(0.0)
    objective = recipe.terms[0].objective
    assert isinstance(objective, Dino)
    same = replace(
        recipe,
        aggregation="native",
        terms=(Term(1.0, replace(objective, center_crops="global")), recipe.terms[1]),
    )
    torch.testing.assert_close(first_step(same), first_step(plain), atol=0, rtol=0)


def test_the_loss_is_the_weighted_sum_of_the_terms() -> None:
    for weight in (0.1, 2.0):
        values, _ = first_step(with_patch_weight(weight))
        assert values["loss"] == pytest.approx(values["dino"] + weight * values["patch"], abs=1e-12)


@pytest.mark.parametrize("positions", ["learned", "none"])
def test_positions_can_be_left_out(positions: Any) -> None:
    recipe = replace(tiny("selfpatch"), positions=positions)
    names = dict(
        Trainer(recipe, steps_per_epoch=4, device=CPU).student_teacher.student.named_parameters()
    )
    assert ("backbone.trunk.pos_embed" in names) is (positions == "learned")
    first_step(recipe)


@pytest.mark.parametrize("changes", [{"k": 1}, {"wrap": False}, {"positives": "threshold"}])
def test_every_rule_of_positives_trains(changes: dict[str, Any]) -> None:
    recipe = tiny("selfpatch")
    patch: Any = recipe.terms[1].objective
    changed = replace(recipe, terms=(recipe.terms[0], Term(0.1, replace(patch, **changes))))
    values, _ = first_step(changed)
    assert values["patch"] > 0


def test_the_patch_term_needs_class_attention() -> None:
    with pytest.raises(MissingAbility, match="--aggregation class-attention"):
        Trainer(replace(tiny("selfpatch"), aggregation="native"), steps_per_epoch=4, device=CPU)


def test_a_recipe_without_terms_is_refused() -> None:
    with pytest.raises(SettingError, match="no term has a weight above 0"):
        check_recipe(replace(tiny("dino"), terms=()))


def test_gradients_reach_the_student_only() -> None:
    trainer = Trainer(tiny("selfpatch"), steps_per_epoch=4, device=CPU, computing=EXACT)
    (batch, *_) = NoiseLoader(4).epoch(0)
    before = {
        key: value.clone() for key, value in trainer.student_teacher.target.state_dict().items()
    }
    trainer.train_step(batch)  # its learning rate is 0, so the student stays and so does its twin
    for key, value in trainer.student_teacher.target.state_dict().items():
        torch.testing.assert_close(value, before[key], atol=1e-12, rtol=0)
    assert all(part.grad is None for part in trainer.student_teacher.target.parameters())
    frozen = {
        name
        for name, part in trainer.student_teacher.student.named_parameters()
        if part.grad is None
    }
    assert all("last_layer" in name for name in frozen)


def test_view_region_and_patch_terms_train_together() -> None:
    recipe = tiny("selfpatch")
    region = tiny("esvit").terms[1]
    values, _ = first_step(replace(recipe, terms=(*recipe.terms, region)))
    total = values["dino"] + 0.1 * values["patch"] + 0.5 * values["region"]
    assert values["loss"] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize("name", ["dino", "selfpatch", "esvit", "esvit_swin"])
def test_a_recipe_trains_without_local_crops(name: str) -> None:
    recipe = tiny(name)
    recipe = replace(recipe, crops=replace(recipe.crops, local_crops=0))
    trainer = Trainer(recipe, steps_per_epoch=4, device=CPU, computing=EXACT)
    values = trainer.train_step(NoiseLoader(4, recipe.crops).batch(0, np.arange(4)))
    assert torch.isfinite(values["loss"])


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_a_handful_of_lines(name: str) -> None:
    code = inspect.getsource(recipes.get(name))
    assert len(code.splitlines()) < 25


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_preset_of_a_recipe_is_valid(name: str) -> None:
    recipe = recipes.get(name)()
    for preset in presets_of(recipe):
        check_recipe(with_preset(recipe, preset))


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_coco_is_what_the_supplementary_says(name: str) -> None:
    recipe = with_preset(recipes.get(name)(), "coco")
    assert (recipe.arch, recipe.epochs, recipe.batch_size) == ("vit_tiny_patch16_224", 200, 256)
    contrasts = name.startswith("moby")
    assert recipe.crops.local_crops == (0 if contrasts else 2)  # MoBY knows two views only
    widths = {getattr(term.objective, "prototypes", 4096) for term in recipe.terms}
    assert widths == {4096}
    assert (recipe.teacher_momentum == moby().teacher_momentum) is contrasts


@pytest.mark.parametrize("preset", ["imagenet", "imagenet-swin", "small"])
def test_mobys_presets_keep_its_schedule_and_its_views(preset: str) -> None:
    recipe = with_preset(moby(), preset)
    rate = recipe.optimizer.learning_rate
    assert isinstance(rate, CosineWithOverlappingWarmup)
    assert replace(recipe.optimizer, learning_rate=moby().optimizer.learning_rate) == (
        moby().optimizer
    )
    assert recipe.teacher_momentum == moby().teacher_momentum
    assert recipe.crops.local_crops == 0
    if preset != "small":
        assert rate == moby().optimizer.learning_rate
        assert (recipe.epochs, recipe.batch_size) == (300, 512)


def test_esvits_swin_is_that_of_its_readme() -> None:
    recipe = with_preset(recipes.get("esvit")(), "imagenet-swin")
    assert recipe.build_backbone().info.heads == 24
    for term in recipe.terms:
        settings: Any = term.objective
        assert settings.teacher_temperature == 0.07
        assert settings.warmup_teacher_temperature_epochs == 30
        assert not settings.normalize_last_layer


def test_a_run_of_dino_is_no_preset_of_moby() -> None:
    with pytest.raises(SettingError, match="has no term 'dino'"):
        with_preset(moby(), "imagenet-dino-100")


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'imagenet10'"):
        with_preset(recipes.get("dino")(), "imagenet1")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"teacher_momentum": Cosine(2.0, 1.0)}, "--teacher-momentum.start is 2.0, expected"),
        ({"teacher_momentum": Cosine(0.9, 1.1)}, "--teacher-momentum.end is 1.1, expected"),
        ({"norm_eps": -1.0}, "--norm-eps is -1.0, expected at least 0"),
        ({"crops": MultiCrop(global_scale=(0.9, 0.1))}, "--crops.global-scale is 0.9 0.1"),
        ({"crops": MultiCrop(local_scale=(0.0, 0.0))}, "--crops.local-scale is 0.0 0.0"),
        ({"optimizer": AdamW(betas=(0.9, 1.0))}, "--optimizer.betas is 1.0, expected at most"),
        ({"optimizer": AdamW(clip=float("nan"))}, "--optimizer.clip is nan, expected a finite"),
        ({"optimizer": AdamW(learning_rate=Cosine(-1.0, 0.0))}, "--optimizer.learning-rate.start"),
    ],
)
def test_a_value_that_can_not_train_is_refused_by_its_flag(
    changes: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SettingError) as refused:
        check_recipe(replace(tiny("dino"), **changes))
    assert problem in str(refused.value)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_that_is_no_share_is_refused_by_its_flag(weight: float) -> None:
    with pytest.raises(SettingError, match=f"--patch-weight is {weight}, expected at least 0"):
        check_recipe(with_patch_weight(weight))
