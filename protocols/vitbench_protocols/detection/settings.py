"""The settings of a detector and of its training: flags, known before torch is imported."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vitbench.api import setting

if TYPE_CHECKING:
    from vitbench.api import BackboneInfo
    from vitbench.kit import FineTuneConfig

MOMENTUM = 0.9  # of SGD


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRCNN:
    """Sizes of Mask R-CNN, and what it keeps; the defaults are the published ones.

    Source:
        He et al., Mask R-CNN, ICCV 2017; mmdetection 2.x, configs/_base_/models/
        mask_rcnn_r50_fpn.py, which alinlab/SelfPatch (81aef14) uses unchanged.
    """

    channels: int = setting(256, help="of the pyramid and the mask head", minimum=8)
    hidden: int = setting(1024, help="width of the box head", minimum=8)
    proposals: int = setting(512, help="boxes of an image that the heads learn from", minimum=4)
    score: float = setting(0.05, help="least score of a detection", minimum=0, maximum=1)
    detections: int = setting(100, help="of an image at most", minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How long and how fast a detector learns."""

    epochs: int = setting(12, help="times that every training image is seen", minimum=1)
    drops: tuple[int, ...] = setting(
        (8, 11), help="epochs after which the rate falls to a tenth", minimum=0
    )
    batch_size: int = setting(8, help="images of a step, over all processes", minimum=1)
    optimizer: Literal["adamw", "sgd"] = setting(
        "adamw", help="what moves the weights", choices=("adamw", "sgd")
    )
    learning_rate: float = setting(5e-5, help="after the warm-up", minimum=0)
    weight_decay: float = setting(0.05, help="of the optimizer", minimum=0)
    undecayed: tuple[str, ...] = setting(
        ("pos_embed", "cls_token", "norm"), help="parts of names of weights that do not decay"
    )
    layer_decay: float = setting(
        1.0, help="rate of a block over that of the next one; 1: the same", minimum=0.01, maximum=1
    )
    warmup_steps: int = setting(1000, help="steps of linear warm-up, from a thousandth", minimum=0)
    accumulate: int = setting(
        1, help="parts of a batch to save memory; BatchNorm sees the parts", minimum=1
    )
    check_epochs: int = setting(
        1, help="epochs between scores for the curve; 0: none", minimum=0, identity=False
    )

    def course(self, images: int, info: "BackboneInfo") -> "FineTuneConfig":
        """Return what the core's loop needs to know, for a number of training images."""
        from vitbench.kit import FineTuneConfig, Steps  # imports torch

        per_epoch = -(-images // self.batch_size)
        return FineTuneConfig(
            steps=self.epochs * per_epoch,
            batch_size=self.batch_size,
            rate=Steps(
                self.learning_rate,
                at_steps=tuple(epoch * per_epoch for epoch in self.drops),
                warmup_steps=self.warmup_steps,
            ),
            weight_decay=self.weight_decay,
            undecayed=self.undecayed,
            momentum=MOMENTUM if self.optimizer == "sgd" else None,
            shares=self.shares(info),
            accumulate=self.accumulate,
            check_every=self.check_epochs * per_epoch,
        )

    def shares(self, info: "BackboneInfo") -> dict[str, float]:
        """Return how much of the rate parts of a ViT get: less, the earlier they come.

        Source:
            Bao et al., BEiT, ICLR 2022; ViTDet (see `maps.SimplePyramid`).
        """
        if self.layer_decay == 1:
            return {}
        blocks = {
            f"backbone.blocks.{block}.": self.layer_decay ** (info.depth - block)
            for block in range(info.depth)
        }
        first = self.layer_decay ** (info.depth + 1)
        names = ("patch_embed", "pos_embed", "cls_token", "reg_token")
        return blocks | {f"backbone.{name}": first for name in names}
