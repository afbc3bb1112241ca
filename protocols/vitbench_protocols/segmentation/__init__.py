"""Semantic segmentation: fine-tuned with a decoder, or read from frozen patch tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vitbench.api import Context, MetricSpec, Need, Outcome, setting
from vitbench_protocols.segmentation.classes import FIRST_LABEL, HIGHEST, VOID, Classes
from vitbench_protocols.segmentation.outcome import PREDICTIONS, Keeper, finish
from vitbench_protocols.segmentation.scores import METRICS
from vitbench_protocols.segmentation.settings import (
    DenseKnn,
    FineTune,
    Hummingbird,
    Inference,
    Learning,
    LinearProbe,
    Squared,
)

if TYPE_CHECKING:
    from vitbench.api import Backbone

SMALL = Learning(
    steps=400,
    batch_size=8,
    crop=128,
    short=128,
    scales=(0.75, 1.5),
    learning_rate=2e-4,
    warmup_steps=40,
    check_every=100,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A class for every pixel: mIoU on ADE20K, or on any folder of index maps in its layout.

    Presets: `knn` and `linear` read frozen features in minutes; `hummingbird` retrieves labels in
    a memory of crops, as open-hummingbird-eval does on VOC; `semfpn-40k` and `upernet-160k`
    fine-tune as published; `semfpn-40k-intended` spares norms from weight decay, as the comment in
    the released file says; `semfpn-xcit-80k` is XCiT's; `small` fits a laptop.

    Source:
        Yun et al., SelfPatch, CVPR 2022, table 1: Semantic FPN 40k and UPerNet 160k. Reference:
        alinlab/SelfPatch (81aef14), segmentation/configs. UPerNet was not released; see `UPerNet`.

    Differs:
        Several processes see the same crops as one. `knn` and `linear` find the same to the bit on
        1, 2, 4, 8, … of them; fine-tuning adds up gradients and batch statistics in another order,
        so its scores agree up to the rounding that training carries on.
        The class token, where the checkpoint has one, stays in the backbone (the reference drops
        it). 16 crops a step: the published numbers name 4 a GPU, but not how many GPUs.
    """

    name: ClassVar[str] = "segmentation"
    version: ClassVar[int] = 2
    data: ClassVar[Literal["semantic"]] = "semantic"
    default_data: ClassVar[str] = "ade20k"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "knn": {},
        "linear": {"method": LinearProbe()},
        "hummingbird": {"method": Hummingbird(), "inference": Squared()},
        "semfpn-40k": {"method": FineTune()},
        "semfpn-40k-intended": {"method": FineTune(undecayed="positions-and-norms")},
        "semfpn-xcit-80k": {
            "method": FineTune(
                decoder="semantic-fpn-deconv",
                layers=(3, 5, 7, 11),
                drop_path=0.05,
                undecayed="positions-and-norms",
                learning=Learning(steps=80_000),
            )
        },
        "upernet-160k": {"method": FineTune(decoder="upernet", learning=Learning(steps=160_000))},
        "small": {
            "method": FineTune(drop_path=0.0, learning=SMALL),
            "inference": Inference(short=128, long=512),
        },
    }

    method: DenseKnn | LinearProbe | FineTune | Hummingbird = setting(
        DenseKnn(), help="how classes are found"
    )
    inference: Inference | Squared = setting(
        Inference(), help="how an image is seen when it is scored"
    )
    first_label: int | None = setting(None, help=FIRST_LABEL, minimum=0)
    void: tuple[int, ...] = setting((), help=VOID, minimum=0, maximum=HIGHEST)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Learn from the training images and score every validation image at its own size."""
        from vitbench_protocols.segmentation.predict import Problem, predict  # imports torch

        self.inference.check(backbone)
        val = context.dataset("val")
        classes = Classes.of(val, self.first_label, self.void)
        problem = Problem(context, classes, context.dataset("train"), val, self.inference)
        segmenter = self.method.learn(backbone, problem)
        keeper = Keeper(context.output / PREDICTIONS, classes)
        tally = predict(problem, segmenter, keeper)
        outcome = finish(tally, val, classes, keeper.read, context)
        return Outcome(
            outcome.scores, outcome.items, {**outcome.artifacts, PREDICTIONS: keeper.folder}
        )
