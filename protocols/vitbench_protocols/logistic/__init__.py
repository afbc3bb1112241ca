"""Logistic regression on frozen features: the best linear classifier, with no learning rate."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting
from vitbench.kit import GAP_METRICS, splits_with

if TYPE_CHECKING:
    from vitbench.api import Backbone

# 45 values, evenly spaced on a logarithmic scale from 1e-6 to 1e5
SWEEP = tuple(float(f"{10 ** (-6 + 11 * step / 44):.6g}") for step in range(45))
FEW_SHOT = {"scaling": "centered-l2", "intercept": False, "c_values": (400.0,), "draws": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Accuracy of an L2-regularized logistic regression on frozen image-level features.

    For each C, sum of cross-entropies times C plus half the squared norm of the weights is
    minimized (L-BFGS). C is chosen on a held-out part of train, then the classifier is fitted to
    all of train. With `shots` or `percent`, train is a drawn part, and the score is the mean of
    several draws. The public lists of 1 % and 10 % of ImageNet are given by `--split-list`. With
    `queries` the images of another set are classified, among its classes alone.

    Source:
        Oquab et al., DINOv2, TMLR 2024 (`dinov2`); reference: facebookresearch/dinov2,
        dinov2/eval/log_regression.py (05c66df). Assran et al., MSN, ECCV 2022 (`msn`);
        reference: facebookresearch/msn, logistic_eval.py.

    Differs:
        A fit ends at its optimum, where the reference often stops after 1,000 iterations before
        it. Several values of C are fitted together. Equal scores are won by the smallest C.
    """

    name: ClassVar[str] = "logistic"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    follows_resampling: ClassVar[bool] = True
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("top1", "top-1", primary=True),
        MetricSpec("top5", "top-5"),
        MetricSpec("top1_deviation", "top-1, deviation of draws", higher_is_better=None),
        *GAP_METRICS,
    )
    presets: ClassVar[Presets] = {
        "dinov2": {},
        "msn": {"scaling": "centered-l2", "intercept": False, "c_values": (400.0,)},
        "1-shot": {**FEW_SHOT, "shots": 1},
        "5-shot": {**FEW_SHOT, "shots": 5},
        "1-percent": {**FEW_SHOT, "percent": 1.0},
    }
    preset_notes: ClassVar[Mapping[str, str]] = {
        "dinov2": "as DINOv2 (Oquab et al., TMLR 2024): 45 values of C on all of train",
        "msn": "as MSN (Assran et al., ECCV 2022): one value of C on all of train",
        "1-shot": "as MSN: 1 image of each class, mean of 5 draws",
        "5-shot": "as MSN: 5 images of each class, mean of 5 draws",
        "1-percent": "as MSN: 1 % of each class, mean of 5 draws",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval logistic dino-vits16 --data imagenet",
        "vitbench eval logistic ckpt.pth --arch vit_small_patch16_224 --preset 5-shot",
        "vitbench eval logistic dino-vits16 --preset msn --queries imagenet-r",
    )

    scaling: Literal["none", "l2", "centered-l2", "standardized"] = setting(
        "none",
        help="scaling of features: of each vector (l2, centered-l2), or of each channel over train",
        choices=("none", "l2", "centered-l2", "standardized"),
    )
    c_values: tuple[float, ...] = setting(
        SWEEP, help="values of C; several are compared on held-out training images", minimum=1e-12
    )
    intercept: bool = setting(
        True,
        help="give the classifier biases, not regularized",
        off="fit a classifier without biases",
    )
    held_out: float = setting(
        0.1, help="share of train that chooses among values of C", minimum=0.01, maximum=0.5
    )
    shots: int = setting(0, help="training images per class, drawn; 0: all", minimum=0)
    percent: float = setting(
        0.0,
        help="percentage of each class's training images, drawn; 0: all",
        minimum=0,
        maximum=100,
    )
    draws: int = setting(1, help="number of draws of the few training images", minimum=1)
    iterations: int = setting(1000, help="most iterations of L-BFGS", minimum=1)
    tolerance: float = setting(
        1e-8, help="share of the loss: a fit ends when a step lowers the loss by less", minimum=0
    )
    queries: str = setting(
        "",
        help="second data set, whose images are classified in the place of val's, with classes of"
        " the same names (ImageNet-V2, -A, -R, -Sketch, -C); the gap to val is a score too",
        identity=False,  # its content is part of the data's identity
    )
    resize: int = setting(
        224, help="short side of an image before the center crop, in pixels", minimum=8
    )
    crop: int = setting(224, help="side of the center crop, in pixels", minimum=8)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read, the one that is scored last."""
        return splits_with(self.queries)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) of every image that passes, in pixels."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Choose C, fit all of the training images, score the others."""
        from vitbench_protocols.logistic.running import score_classifiers  # imports torch

        return score_classifiers(self, backbone, context)
