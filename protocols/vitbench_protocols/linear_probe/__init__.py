"""Linear classification on frozen features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting
from vitbench.kit import GAP_METRICS, splits_with

if TYPE_CHECKING:
    from vitbench.api import Backbone

Choice = Literal["by-size", "last-4", "last-1", "last-1+mean"]
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
SWEEP = {
    "train_on": "features",
    "features": ("last-1", "last-4", "last-1+mean"),
    "learning_rates": RATES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProbe:
    """Accuracy of a linear classifier that is trained on frozen image-level features.

    `top1` is the accuracy after the last epoch. The reference prints the accuracy of the epoch
    that is best on val; that is `top1_best`. Where several classifiers are asked for, the one that
    is best on a held-out part of train is trained on all of train. With `queries` the images of
    another set are classified in the place of val's, among its classes alone.

    Source:
        Caron et al., DINO, ICCV 2021, section 4.1. Reference: facebookresearch/dino,
        eval_linear.py (7c446df).

    Differs:
        The preset `dino` follows the reference; crops and order do not depend on the number of
        processes. The preset `sweep` is ours: fixed center crops, a grid of
        learning rates and features, none of it chosen on val.
    """

    name: ClassVar[str] = "linear-probe"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    follows_resampling: ClassVar[bool] = True
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("top1", "top-1", primary=True),
        MetricSpec("top5", "top-5"),
        MetricSpec("top1_best", "top-1 (best epoch)"),
        MetricSpec("top5_best", "top-5 (best epoch)"),
        *GAP_METRICS,
    )
    presets: ClassVar[Presets] = {"dino": {}, "sweep": SWEEP}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "dino": "as DINO's paper (Caron et al., ICCV 2021): 100 epochs of forward passes over"
        " random crops of train",
        "sweep": "ours: one forward pass, then 27 classifiers on stored features; none is chosen on"
        " val",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval linear-probe dino-vits16 --preset sweep --data imagenet",
        "vitbench eval linear-probe ckpt.pth --arch vit_small_patch16_224 --data imagenet",
        "vitbench eval linear-probe dino-vits16 --preset sweep --queries imagenet-sketch",
    )

    train_on: Literal["crops", "features"] = setting(
        "crops",
        help="input of the classifier: features of new random crops in each epoch, or stored"
        " features of center crops",
        choices=("crops", "features"),
    )
    features: tuple[Choice, ...] = setting(
        ("by-size",),
        help="features that classifiers read: those of the last 4 blocks, of the last block, or of"
        " the last block with its mean patch; by-size: what DINO's script takes for this width",
    )
    learning_rates: tuple[float, ...] = setting(
        (0.001,),
        help="learning rates for a batch of 256 images; each is tried with each of --features",
        minimum=1e-12,
    )
    epochs: int = setting(
        100, help="epochs of training; the learning rate falls to 0 by a cosine", minimum=1
    )
    batch_size: int = setting(
        1024, help="images in one training step, over all processes", minimum=1
    )
    momentum: float = setting(0.9, help="SGD momentum", minimum=0, maximum=1)
    held_out: float = setting(
        0.1,
        help="share of train that is held out to choose among several classifiers",
        minimum=0.01,
        maximum=0.5,
    )
    crop_scale: tuple[float, float] = setting(
        (0.08, 1.0),
        help="smallest and largest area of a random crop, as a share of the image",
        minimum=0,
        maximum=1,
    )
    queries: str = setting(
        "",
        help="second data set, whose images are classified in the place of val's, with classes of"
        " the same names (ImageNet-V2, -A, -R, -Sketch, -C); the gap to val is a score too",
        identity=False,  # its content is part of the data's identity
    )
    resize: int = setting(
        256, help="short side of an image before the center crop, in pixels", minimum=8
    )
    crop: int = setting(224, help="side of every crop, in pixels", minimum=8)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read, the one that is scored last."""
        return splits_with(self.queries)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) in pixels of every image that the backbone sees."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Choose a head where there are several, train it on all of train, score it on val."""
        from vitbench_protocols.linear_probe.running import score_heads  # imports torch

        return score_heads(self, backbone, context)
