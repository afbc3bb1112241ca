"""Linear classification on frozen features: how much of the classes lies open in them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

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
    """Linear classifiers on frozen features; with several, train's held-out part chooses one.

    `top1` is that of the last epoch. The reference prints the best epoch's, chosen on val:
    `top1_best`.

    Source:
        Caron et al., DINO, ICCV 2021, section 4.1. Reference: facebookresearch/dino,
        eval_linear.py (7c446df).

    Differs:
        The preset `dino` follows it; crops and order are drawn by address, so they do not depend
        on the number of processes. The preset `sweep` is ours: fixed center crops, a grid of
        learning rates and features, none of it chosen on val.
    """

    name: ClassVar[str] = "linear-probe"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("top1", "top-1", primary=True),
        MetricSpec("top5", "top-5"),
        MetricSpec("top1_best", "top-1 (best epoch)"),
        MetricSpec("top5_best", "top-5 (best epoch)"),
    )
    presets: ClassVar[Presets] = {"dino": {}, "sweep": SWEEP}

    train_on: Literal["crops", "features"] = setting(
        "crops",
        help="new random crops in each epoch, or features of center crops, passed once",
        choices=("crops", "features"),
    )
    features: tuple[Choice, ...] = setting(
        ("by-size",),
        help="what heads read: last-4 or last-1 blocks, last-1+mean patch; by-size: as DINO's",
    )
    learning_rates: tuple[float, ...] = setting(
        (0.001,), help="for a batch of 256; each is tried on each of the features", minimum=1e-12
    )
    epochs: int = setting(100, help="cosine to 0 over these", minimum=1)
    batch_size: int = setting(1024, help="over all processes", minimum=1)
    momentum: float = setting(0.9, help="of SGD", minimum=0, maximum=1)
    held_out: float = setting(
        0.1, help="share of train that chooses among several heads", minimum=0.01, maximum=0.5
    )
    crop_scale: tuple[float, float] = setting(
        (0.08, 1.0), help="area of a random crop, share of the image", minimum=0, maximum=1
    )
    resize: int = setting(256, help="short side before the center crop, px", minimum=8)
    crop: int = setting(224, help="side of every crop, px", minimum=8)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) of every image that passes, in pixels."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Choose a head where there are several, train it on all of train, score it on val."""
        from vitbench_protocols.linear_probe.running import score_heads  # imports torch

        return score_heads(self, backbone, context)
