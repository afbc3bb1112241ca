"""The settings of every objective that ships: flags, known before torch is imported."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.errors import MissingAbility
from vitbench.objectives.progress import Progress
from vitbench.settings import setting

if TYPE_CHECKING:
    from vitbench.models.backbone import BackboneInfo
    from vitbench.objectives.dino import DinoObjective
    from vitbench.objectives.heads import ProjectionHead
    from vitbench.objectives.moby import MobyObjective
    from vitbench.objectives.objective import Annotations, Objective
    from vitbench.objectives.patch import PatchObjective
    from vitbench.objectives.region import RegionObjective

CropSet = Literal["global", "all"]
Rule = Literal["topk", "threshold", "ground-truth"]  # which neighbors of a patch are its positives


class ObjectiveSettings(ABC):
    """The settings of an objective: a frozen dataclass that builds it."""

    name: ClassVar[str]

    __slots__ = ()

    @abstractmethod
    def build(self, info: "BackboneInfo") -> "Objective":
        """Return the objective for a backbone.

        Raises:
            MissingAbility: The backbone lacks what the objective needs.
        """

    def prepare(self, data: str, patch_size: int) -> "Annotations | None":
        """Open what the term must know of the training images; None: their pixels are enough.

        Args:
            data: Name or path of the training data.
            patch_size: Pixels of a patch of the backbone.
        """
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation(ObjectiveSettings):
    """Settings of a term in which a student predicts its teacher's prototypes."""

    prototypes: int = setting(
        65536, help="number K of prototypes, the width of the logits", minimum=2
    )
    hidden_dim: int = setting(2048, help="width of the projection head's hidden layers", minimum=1)
    bottleneck_dim: int = setting(
        256,
        help="width of the projection head's normalized output before the prototypes",
        minimum=1,
    )
    batch_norm: bool = setting(False, help="put BatchNorm into the projection head")
    normalize_last_layer: bool = setting(
        True, help="keep prototypes at length 1", off="let the lengths of the prototypes vary"
    )
    freeze_last_layer_epochs: int = setting(
        1, help="epochs in which the prototypes are frozen", minimum=0
    )
    student_temperature: float = setting(
        0.1, help="temperature of the student's softmax", minimum=0.001
    )
    teacher_temperature: float = setting(
        0.04, help="temperature of the teacher's softmax after its warm-up", minimum=0.001
    )
    warmup_teacher_temperature: float = setting(
        0.04, help="temperature of the teacher's softmax in the first epoch", minimum=0.001
    )
    warmup_teacher_temperature_epochs: int = setting(
        0, help="epochs in which the teacher's temperature grows linearly", minimum=0
    )
    center_momentum: float = setting(
        0.9, help="EMA momentum of the center of the teacher's logits", minimum=0, maximum=1
    )

    def build_head(self, embed_dim: int) -> "ProjectionHead":
        """Return the projection head for features of a width."""
        from vitbench.objectives.heads import ProjectionHead  # imports torch

        return ProjectionHead(
            embed_dim,
            self.prototypes,
            hidden_dim=self.hidden_dim,
            bottleneck_dim=self.bottleneck_dim,
            normalize_last_layer=self.normalize_last_layer,
            batch_norm=self.batch_norm,
        )

    def teacher_temperature_at(self, progress: Progress) -> float:
        """Return the teacher's temperature, one value an epoch.

        It grows along `linspace(warm-up value, value, warm-up epochs)`, then stays.
        """
        first, last = self.warmup_teacher_temperature, self.teacher_temperature
        epochs = self.warmup_teacher_temperature_epochs
        if progress.epoch >= epochs:
            return last
        return first + (last - first) * progress.epoch / max(epochs - 1, 1)

    def freezes(self, progress: Progress) -> bool:
        """Tell whether the heads' last layers must not move in this step."""
        return progress.epoch < self.freeze_last_layer_epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Dino(Distillation):
    """Self-distillation between the image-level features of crops.

    Source:
        Caron et al., DINO, ICCV 2021; facebookresearch/dino, main_dino.py, DINOLoss (7c446df).
    """

    name: ClassVar[str] = "dino"
    center_crops: CropSet = setting(
        "global",
        help="crops whose teacher logits are averaged for the center: the global ones as in DINO,"
        " or all as in SelfPatch",
        choices=("global", "all"),
    )

    def build(self, info: "BackboneInfo") -> "DinoObjective":
        """Return the objective for a backbone."""
        from vitbench.objectives.dino import DinoObjective  # imports torch

        return DinoObjective(self, info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch(Distillation):
    """Patch-level self-distillation: the target is a summary of the similar neighbors.

    Source:
        Yun et al., SelfPatch, CVPR 2022; alinlab/SelfPatch, main_selfpatch.py and
        selfpatch_vision_transformer.py (81aef14).
    """

    name: ClassVar[str] = "patch"
    prototypes: int = setting(
        4096, help="number K of prototypes, the width of the logits", minimum=2
    )
    k: int = setting(
        4,
        help="number of similar neighbors that are summarized as the target of a patch",
        minimum=1,
        maximum=8,
    )
    positives: Rule = setting(
        "topk",
        help="which neighbors are positives: the k most similar, those above a similarity, or"
        " those that the annotations say",
        choices=("topk", "threshold", "ground-truth"),
    )
    wrap: bool = setting(
        True,
        help="take patches at opposite borders of a crop for neighbors, as the reference does",
        off="take only patches inside the crop for neighbors",
    )

    def build(self, info: "BackboneInfo") -> "PatchObjective":
        """Return the objective for a backbone.

        Raises:
            MissingAbility: If the backbone has no class attention.
        """
        if info.pooled_from != "class_attention":
            raise MissingAbility(
                f"the patch term needs class attention; {info.arch} pools by {info.pooled_from}.",
                hint="--aggregation class-attention",
            )
        from vitbench.objectives.patch import PatchObjective  # imports torch

        return PatchObjective(self, info)

    def prepare(self, data: str, patch_size: int) -> "Annotations | None":
        """Open the ground truth, where it decides.

        Raises:
            DatasetError: The data has no annotations of COCO's form.
        """
        if self.positives != "ground-truth":
            return None
        from vitbench.data.coco import open_coco
        from vitbench.data.dataset import find_root
        from vitbench.objectives.ground_truth import GroundTruth  # imports torch

        dataset = open_coco(find_root(data), "train")
        return GroundTruth(dataset, patch_size=patch_size, wrap=self.wrap)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region(Distillation):
    """Self-distillation between the patches of different crops, matched by their features.

    Source:
        Li et al., EsViT, ICLR 2022, section 3.2; microsoft/esvit, main_esvit.py, DDINOLoss
        (2d6becd), the part of it that is about regions.
    """

    name: ClassVar[str] = "region"

    def build(self, info: "BackboneInfo") -> "RegionObjective":
        """Return the objective for a backbone."""
        from vitbench.objectives.region import RegionObjective  # imports torch

        return RegionObjective(self, info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moby(ObjectiveSettings):
    """Contrast between two views, with a predictor on the student's side and two queues of keys.

    Source:
        Xie et al., Self-Supervised Learning with Swin Transformers, 2021;
        SwinTransformer/Transformer-SSL, models/moby.py (4510de1).
    """

    name: ClassVar[str] = "moby"
    hidden_dim: int = setting(4096, help="hidden width of projector and predictor", minimum=1)
    key_dim: int = setting(256, help="width of the keys and queries", minimum=1)
    queue: int = setting(
        4096, help="number of keys in each queue, a multiple of the batch size", minimum=1
    )
    temperature: float = setting(0.2, help="temperature of the softmax over keys", minimum=0.001)

    def build(self, info: "BackboneInfo") -> "MobyObjective":
        """Return the objective for a backbone."""
        from vitbench.objectives.moby import MobyObjective  # imports torch

        return MobyObjective(self, info)
