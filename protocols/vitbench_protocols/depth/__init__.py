"""Depth of every pixel from frozen features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

if TYPE_CHECKING:
    from vitbench.api import Backbone

THRESHOLDS = {"d1": 1.25, "d2": 1.25**2, "d3": 1.25**3}
SMALL = {"size": 112, "epochs": 5, "batch_size": 4, "learning_rate": 2e-3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """Depth that a head predicts from the patches of a frozen backbone, against a sensor's.

    d1 is the percentage of pixels whose depth is within a factor of 1.25 (d2, d3: of its square
    and cube), and RMSE the root of the mean squared error in meters; both are taken for each image
    and averaged. The head gives each of 256 depths a weight; their mean is the depth. The linear
    head reads the last block's patches and image-level feature, the multi-layer one (`dpt`) the
    patches of four blocks.

    Source:
        El Banani et al., Probing the 3D Awareness of Visual Foundation Models, CVPR 2024;
        reference: mbanani/probe3d, train_depth.py, evals/models/probes.py (a1f1464). The linear
        head is that of facebookresearch/dinov2, dinov2/eval/depth (ad0c4e0), BNHead.

    Differs:
        Colors are changed in a fixed order. probe3d trains on GeoNet's images of NYUv2 and tests
        on raw depth; any set of NYUv2 can be given here.
    """

    name: ClassVar[str] = "depth"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "depth"
    default_data: ClassVar[str] = "nyuv2"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("d1", "d1 (within 1.25)", primary=True),
        MetricSpec("d2", "d2 (within 1.25^2)"),
        MetricSpec("d3", "d3 (within 1.25^3)"),
        MetricSpec("rmse", "RMSE (m)", unit="", higher_is_better=False),
    )
    presets: ClassVar[Presets] = {
        "linear": {},
        "probe3d": {"head": "dpt"},
        "small": SMALL,
    }
    preset_notes: ClassVar[Mapping[str, str]] = {
        "linear": "head of DINOv2 (Oquab et al., TMLR 2024), trained as probe3d's: 10 epochs",
        "probe3d": "as probe3d (El Banani et al., CVPR 2024): a head on four blocks, 10 epochs",
        "small": "ours: the linear head, 5 epochs, images of 112 px; minutes on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval depth dino-vits16 --data nyuv2",
        "vitbench eval depth ckpt.pth --arch vit_small_patch16_224 --preset probe3d --data nyuv2",
    )

    head: Literal["linear", "dpt"] = setting(
        "linear",
        help="head that is trained: a linear map of the last block, or convolutions over four",
        choices=("linear", "dpt"),
    )
    hidden: int = setting(512, help="channels of the dpt head", minimum=1)
    max_depth: float = setting(
        10.0, help="largest depth in meters; what is farther is not known", minimum=0.1
    )
    size: int = setting(
        480, help="side of the central square that is seen, in pixels of the resized image",
        minimum=32,
    )  # fmt: skip
    epochs: int = setting(10, help="epochs of training", minimum=1)
    warmup_epochs: float = setting(
        1.5, help="epochs in which the learning rate grows linearly", minimum=0
    )
    batch_size: int = setting(8, help="images in one training step, over all processes", minimum=1)
    learning_rate: float = setting(5e-4, help="learning rate of AdamW", minimum=0)
    weight_decay: float = setting(0.01, help="weight decay of AdamW", minimum=0)
    augment: bool = setting(
        True,
        help="change colors and crop of training images at random",
        off="train on images as they are",
    )
    pictures: int = setting(
        8, help="number of images whose depth is drawn", minimum=0, artifact=True
    )

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Train the head, and compare its depth with the sensor's."""
        from vitbench_protocols.depth.running import score_depth  # imports torch

        return score_depth(self, backbone, context)
