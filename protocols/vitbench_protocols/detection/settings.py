"""The settings of a detector and of its training: flags, known before torch is imported."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vitbench.api import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vitbench.kit import FineTuneConfig

MOMENTUM = 0.9  # of SGD


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRCNN:
    """Sizes of Mask R-CNN and limits of its detections; the defaults are the published ones.

    Source:
        He et al., Mask R-CNN, ICCV 2017; mmdetection 2.x, configs/_base_/models/
        mask_rcnn_r50_fpn.py, which alinlab/SelfPatch (81aef14) uses unchanged.
    """

    channels: int = setting(256, help="channels of the pyramid and the mask head", minimum=8)
    hidden: int = setting(1024, help="hidden width of the box head", minimum=8)
    proposals: int = setting(
        512, help="proposals of an image that the heads are trained on", minimum=4
    )
    score: float = setting(0.05, help="lowest score of a kept detection", minimum=0, maximum=1)
    detections: int = setting(100, help="most detections kept of an image", minimum=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """Epochs and optimizer of a detector's training."""

    epochs: int = setting(12, help="passes over the training images", minimum=1)
    drops: tuple[int, ...] = setting(
        (8, 11), help="epochs after which the learning rate falls to a tenth", minimum=0
    )
    batch_size: int = setting(8, help="images in one training step, over all processes", minimum=1)
    optimizer: Literal["adamw", "sgd"] = setting(
        "adamw", help="optimizer of the training", choices=("adamw", "sgd")
    )
    learning_rate: float = setting(5e-5, help="learning rate after the warm-up", minimum=0)
    weight_decay: float = setting(0.05, help="weight decay of the optimizer", minimum=0)
    undecayed: tuple[str, ...] = setting(
        ("pos_embed", "cls_token", "norm"),
        help="parameters without weight decay, by parts of their names",
    )
    layer_decay: float = setting(
        1.0,
        help="learning rate of a block as a share of the next block's; 1: all blocks alike",
        minimum=0.01,
        maximum=1,
    )
    warmup_steps: int = setting(
        1000,
        help="steps in which the learning rate grows linearly, from a thousandth",
        minimum=0,
    )
    accumulate: int = setting(
        1,
        help="parts that a batch is split into to save memory; BatchNorm normalizes each part",
        minimum=1,
    )
    check_epochs: int = setting(
        1,
        help="epochs between two scores on val for the training curve; 0: none",
        minimum=0,
        identity=False,
    )

    def course(self, images: int, layers: "Mapping[str, int]") -> "FineTuneConfig":
        """Return what the core's loop needs to know.

        Args:
            images: How many are trained on.
            layers: The layer of each of the backbone's parameters, see `shares`.
        """
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
            shares=self.shares(layers),
            accumulate=self.accumulate,
            check_every=self.check_epochs * per_epoch,
        )

    def shares(self, layers: "Mapping[str, int]") -> dict[str, float]:
        """Return the learning-rate shares of a backbone's parameters, smaller in early blocks.

        Args:
            layers: Of `Backbone.parameter_layers`; not read where all rates are the same.

        Source:
            Bao et al., BEiT, ICLR 2022; ViTDet (see `maps.SimplePyramid`).
        """
        if self.layer_decay == 1 or not layers:
            return {}
        last = max(layers.values())
        return {f"backbone.{name}": self.layer_decay ** (last - at) for name, at in layers.items()}
