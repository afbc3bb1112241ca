"""A recipe: everything that decides what a training run learns, as one frozen value."""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from vitbench.data.multicrop import MultiCrop
from vitbench.errors import SettingError
from vitbench.models.constants import POSITION_RULES, PositionRule
from vitbench.objectives.settings import ObjectiveSettings
from vitbench.settings import checked, flag, problems, setting
from vitbench.training.optimizer import AdamW, OptimizerConfig
from vitbench.training.schedules import VALUES, Cosine, Schedule

if TYPE_CHECKING:
    from vitbench.models.backbone import Backbone


@dataclass(frozen=True, slots=True)
class Term:
    """An objective and how much it counts; a weight of 0 takes it out."""

    weight: float = setting(help="weight of this term in the loss", minimum=0)
    objective: ObjectiveSettings = setting(help="settings of the term")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A weighted sum of objectives and the way it is minimized."""

    name: str
    terms: tuple[Term, ...]
    arch: str = setting("vit_small_patch16_224", help="architecture of the backbone")
    aggregation: Literal["native", "class-attention"] = setting(
        "native",
        help="image-level feature: the backbone's own, or class attention over its patches",
        choices=("native", "class-attention"),
    )
    positions: Literal["learned", "none"] = setting(
        "learned",
        help="position table of the backbone: learned, or none at all",
        choices=("learned", "none"),
    )
    position_rule: PositionRule = setting(
        "dino",
        help="how the position table is resized for crops of other sizes",
        choices=POSITION_RULES,
    )
    norm_eps: float | None = setting(
        None,
        help="epsilon of the backbone's LayerNorms; left out: the architecture's own",
        minimum=0,
        maximum=1,
    )
    drop_path: float = setting(
        0.1, help="drop-path rate of the student's last block", minimum=0, maximum=0.99
    )
    crops: MultiCrop = setting(MultiCrop(), help="crops and their augmentation")
    optimizer: OptimizerConfig = setting(AdamW(), help="optimizer")
    teacher_momentum: Schedule | None = setting(
        Cosine(0.996, 1.0),
        help="EMA momentum of the teacher; None in a recipe without a teacher",
    )
    epochs: int = setting(100, help="passes over the training images", minimum=1)
    batch_size: int = setting(
        512, help="images in one training step, over all processes", minimum=1
    )
    seed: int = setting(
        0,
        help="seed of first weights, image order, crops and drop path",
        minimum=0,
        maximum=2**63 - 2,
    )

    @property
    def active(self) -> tuple[Term, ...]:
        """The terms that count."""
        return tuple(term for term in self.terms if term.weight)

    def build_backbone(self) -> "Backbone":
        """Return the student's backbone with its first weights, on the CPU."""
        import torch

        from vitbench.models.aggregated import AggregatedBackbone
        from vitbench.models.architecture import Architecture
        from vitbench.models.class_attention import ClassAttention
        from vitbench.models.factory import build, find_architecture
        from vitbench.models.initialization import initialize
        from vitbench.models.timm_architecture import TimmArchitecture

        architecture = find_architecture(self.arch)
        if self.norm_eps is not None:
            if isinstance(architecture, TimmArchitecture):
                raise SettingError([f"norm_eps: the norms of {self.arch} are timm's own"])
            architecture = replace(architecture, norm_eps=self.norm_eps)
        if isinstance(architecture, Architecture):  # a Swin has neither positions nor class token
            if self.positions == "none":
                architecture = replace(architecture, positions=False, prefix_positions=False)
            if self.aggregation == "class-attention":  # brings class token and final norm
                architecture = replace(architecture, cls_token=False, final_norm=False)
        trunk = build(
            architecture,
            seed=self.seed,
            position_rule=self.position_rule,
            drop_path=self.drop_path,
        )
        if self.aggregation == "native":
            return trunk
        ca_head = ClassAttention(trunk.info.embed_dim, trunk.info.heads)
        initialize(ca_head, torch.Generator().manual_seed(self.seed + 1))
        return AggregatedBackbone(trunk, ca_head)


def check_recipe(recipe: Recipe) -> Recipe:
    """Return the recipe, or raise one `SettingError` with everything that is wrong in it."""
    return checked(recipe, _problems_of_terms, _problems_of_values)


def _problems_of_terms(recipe: Recipe) -> list[str]:
    names = [term.objective.name for term in recipe.active]
    found = [] if names else ["no term has a weight above 0"]
    found += [f"a term stands twice: {', '.join(names)}"] if len(set(names)) < len(names) else []
    for term in recipe.terms:
        name = term.objective.name
        if not (math.isfinite(term.weight) and term.weight >= 0):
            found.append(f"{flag(f'{name}_weight')} is {term.weight}, expected at least 0")
        found += problems(term.objective, f"{name}.")
    return found


def _problems_of_values(recipe: Recipe) -> list[str]:
    """List what no single setting can know: a share above 1, a range that ends before it starts."""
    found = [
        f"{flag(f'teacher_momentum.{name}')} is {value}, expected at most 1"
        for name in VALUES
        if (value := getattr(recipe.teacher_momentum, name, 0)) > 1
    ]
    for name in ("global_scale", "local_scale", "blur_radius"):
        low, high = getattr(recipe.crops, name)
        if low > high or high == 0:
            text = "expected the smaller one first, the larger one above 0"
            found.append(f"{flag(f'crops.{name}')} is {low} {high}, {text}")
    return found
