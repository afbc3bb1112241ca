"""The settings of the loss terms: flags, known before torch is imported."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vitbench.api import setting
from vitbench.kit import Distillation, ObjectiveSettings

if TYPE_CHECKING:
    from vitbench.api import BackboneInfo
    from vitbench.kit import Objective


@dataclass(frozen=True, slots=True, kw_only=True)
class Ibot(Distillation):
    """Self-distillation of image-level features and of hidden patches, by one shared head.

    Source:
        Zhou et al., iBOT, ICLR 2022; bytedance/ibot, main_ibot.py, iBOTLoss.

    Differs:
        The hidden patches of an image lie anywhere (the reference's `pred_shape` "rand"), not in
        blocks.
    """

    name: ClassVar[str] = "ibot"
    prototypes: int = setting(8192, help="width of the logits", minimum=2)
    patch_weight: float = setting(1.0, help="share of the hidden patches in the loss", minimum=0)
    hidden: tuple[float, float] = setting(
        (0.1, 0.5), help="range of the share of hidden patches in an image", minimum=0, maximum=1
    )
    whole: float = setting(
        0.5, help="chance of an image to have no hidden patches", minimum=0, maximum=1
    )

    def build(self, info: "BackboneInfo") -> "Objective":
        """Return the objective for a backbone."""
        from methods.ibot import IbotObjective  # imports torch

        return IbotObjective(self, info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mae(ObjectiveSettings):
    """Reconstruction of the pixels of hidden patches from the visible ones.

    Source:
        He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022;
        facebookresearch/mae, models_mae.py.

    Differs:
        The encoder's positions are learned; the loss is the mean over both global crops.
    """

    name: ClassVar[str] = "mae"
    hidden: float = setting(0.75, help="share of hidden patches", minimum=0.01, maximum=0.99)
    width: int = setting(512, help="width of the decoder", minimum=4)
    depth: int = setting(8, help="blocks of the decoder", minimum=1)
    heads: int = setting(16, help="attention heads of the decoder", minimum=1)

    def build(self, info: "BackboneInfo") -> "Objective":
        """Return the objective for a backbone."""
        from methods.mae import MaeObjective  # imports torch

        return MaeObjective(self, info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Koleo(ObjectiveSettings):
    """Spread of the image-level features of a batch over the sphere.

    Source:
        Sablayrolles et al., Spreading vectors for similarity search, ICLR 2019; Oquab et al.,
        DINOv2, 2023; facebookresearch/dinov2, koleo_loss.py.

    Differs:
        Neighbors are looked for in the batch of all processes, so their number changes nothing.
    """

    name: ClassVar[str] = "koleo"

    def build(self, info: "BackboneInfo") -> "Objective":
        """Return the objective for a backbone."""
        from methods.koleo import KoleoObjective  # imports torch

        return KoleoObjective()


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkhornDino(Distillation):
    """DINO's term whose targets use all prototypes alike, by Sinkhorn's iterations.

    Source:
        Caron et al., SwAV, NeurIPS 2020; Oquab et al., DINOv2, 2023; facebookresearch/dinov2,
        dino_clstoken_loss.py, sinkhorn_knopp_teacher.

    Differs:
        A batch that is cut into parts (`--accumulate`) is balanced part by part.
    """

    name: ClassVar[str] = "sinkhorn_dino"
    iterations: int = setting(3, help="Sinkhorn iterations", minimum=1)

    def build(self, info: "BackboneInfo") -> "Objective":
        """Return the objective for a backbone."""
        from methods.sinkhorn import SinkhornObjective  # imports torch

        return SinkhornObjective(self, info)
