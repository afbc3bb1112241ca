"""Semantic segmentation: fine-tuned with a decoder, or read from frozen patch tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vitbench.api import Context, MetricSpec, Need, Outcome, setting
from vitbench.kit import distributed
from vitbench_protocols.segmentation.classes import (
    FIRST_LABEL,
    HIGHEST,
    VOID,
    Classes,
    open_maps,
)
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
    """Semantic segmentation, scored by mIoU: from frozen patch features, or fine-tuned.

    mIoU is the intersection over union of predicted and true pixels, averaged over classes. The
    presets `knn`, `linear` and `hummingbird` keep the backbone frozen; the others fine-tune it
    with a decoder.

    Source:
        Yun et al., SelfPatch, CVPR 2022, table 1: Semantic FPN 40k and UPerNet 160k. Reference:
        alinlab/SelfPatch (81aef14), segmentation/configs. UPerNet was not released; see `UPerNet`.

    Differs:
        Several processes see the same crops as one. `knn` and `linear` find the same to the bit on
        1, 2, 4, 8, … of them; fine-tuning adds up gradients and batch statistics in another order,
        so its scores agree up to the rounding that training carries on.
        The class token, where the checkpoint has one, stays in the backbone (the reference drops
        it). 16 crops a step: the published numbers name 4 a GPU, but not how many GPUs.
        Batch normalization inside the backbone keeps its statistics, and its weights learn;
        mmsegmentation takes the statistics of each batch.
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
        "hummingbird-504": {"method": Hummingbird(), "inference": Squared(size=504)},
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

    preset_notes: ClassVar[Mapping[str, str]] = {
        "knn": "nearest training patches, frozen backbone (Balazevic et al., NeurIPS 2023); one"
        " forward pass over train and val",
        "hummingbird": "labels retrieved from a memory of training patches, as"
        " open-hummingbird-eval does on VOC (Balazevic et al., NeurIPS 2023), frozen backbone",
        "hummingbird-504": "as hummingbird, with images of 504 px, for patches of 14 px",
        "linear": "linear layer on frozen patches (DINOv2, Oquab et al., TMLR 2024), 4,000 steps",
        "semfpn-40k": "Semantic FPN, fine-tuned for 40,000 steps (SelfPatch, Yun et al., CVPR 2022,"
        " table 1)",
        "semfpn-40k-intended": "semfpn-40k without weight decay on norms, as the comment in the"
        " released file intends",
        "semfpn-xcit-80k": "Semantic FPN with XCiT's settings (El-Nouby et al., NeurIPS 2021),"
        " 80,000 steps",
        "upernet-160k": "UPerNet, fine-tuned for 160,000 steps (SelfPatch, table 1)",
        "small": "ours: Semantic FPN for 400 steps of 128 px crops, minutes on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval segmentation dino-vits16 --data ade20k",
        "vitbench eval segmentation ckpt.pth --arch vit_small_patch16_224 --preset semfpn-40k"
        " --data ade20k",
    )

    method: DenseKnn | LinearProbe | FineTune | Hummingbird = setting(
        DenseKnn(), help="how the class of a pixel is found (the preset chooses the method)"
    )
    inference: Inference | Squared = setting(
        Inference(), help="how an image is resized and cut when it is scored"
    )
    first_label: int | None = setting(None, help=FIRST_LABEL, minimum=0)
    void: tuple[int, ...] = setting((), help=VOID, minimum=0, maximum=HIGHEST)

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone that this method or this way of showing images does not serve."""
        self.inference.check(backbone)
        self.method.check(backbone)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Learn from the training images and score every validation image at its own size."""
        from vitbench_protocols.segmentation.outcome import PREDICTIONS, Keeper, finish
        from vitbench_protocols.segmentation.predict import Problem, predict  # imports torch

        val = open_maps(context, "val")
        classes = Classes.of(val, self.first_label, self.void)
        problem = Problem(context, classes, open_maps(context, "train"), val, self.inference)
        segmenter = self.method.learn(backbone, problem)
        keeper = Keeper(context.output / PREDICTIONS, classes)
        tally = predict(problem, segmenter, keeper)
        if not distributed.is_main():
            return Outcome(())
        outcome = finish(tally, val, classes, keeper.read, context)
        return Outcome(
            outcome.scores, outcome.items, {**outcome.artifacts, PREDICTIONS: keeper.folder}
        )
