"""Classification by attention over frozen patches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

if TYPE_CHECKING:
    from vitbench.api import Backbone

RATES = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2)
SMALL = {
    "learning_rates": (2e-4, 1e-3, 5e-3),
    "weight_decays": (1e-3,),
    "steps": 200,
    "warmup_steps": 20,
    "batch_size": 64,
    "resize": 128,
    "crop": 112,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentiveProbe:
    """Accuracy of a classifier that attends to frozen patches with one learned query.

    The query compares itself with a linear map of every patch; the patches, weighted by the
    softmax of that and mapped linearly, are classified linearly. A grid of learning rates and
    weight decays is trained on random crops; the classifier that is best on a held-out part of
    train is scored.

    Source:
        Darcet et al., CAPI, 2025. Reference: facebookresearch/capi, eval_classification.py
        (98b4fa1), AttnPoolClassifier.

    Differs:
        The classifiers start from the same weights. Keys and values of single patches are never
        made: the query is mapped back onto patches, and values are made of pooled patches, which
        gives the same numbers for a fraction of the work.
    """

    name: ClassVar[str] = "attentive-probe"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    follows_resampling: ClassVar[bool] = True
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("top1", "top-1", primary=True),
        MetricSpec("top5", "top-5"),
    )
    presets: ClassVar[Presets] = {"capi": {}, "small": SMALL}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "capi": "as CAPI (Darcet et al., 2025): 12,500 steps of random crops, 128 on each GPU;"
        " taken to be 8 of them, which the paper does not say; 30 classifiers",
        "small": "ours: 200 steps of 64 crops of 112 px, 3 classifiers; minutes on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval attentive-probe dino-vits16 --data imagenet",
        "vitbench eval attentive-probe ckpt.pth --arch vit_small_patch16_224 --preset small"
        " --data imagenette160",
    )

    learning_rates: tuple[float, ...] = setting(
        RATES,
        help="learning rates for a batch of 256 images; each is tried with each of --weight-decays",
        minimum=1e-12,
    )
    weight_decays: tuple[float, ...] = setting(
        (5e-4, 1e-3, 5e-2), help="weight decays of AdamW; not applied to biases", minimum=0
    )
    steps: int = setting(12_500, help="training steps", minimum=1)
    warmup_steps: int = setting(
        1250, help="steps in which the learning rate grows linearly from 0", minimum=0
    )
    batch_size: int = setting(
        1024, help="images in one training step, over all processes", minimum=1
    )
    held_out: float = setting(
        0.1,
        help="share of train that is held out to choose among the classifiers",
        minimum=0.01,
        maximum=0.5,
    )
    layer: int = setting(
        -1, help="number of the block whose patches are read; negative: from the last, -1"
    )
    crop_scale: tuple[float, float] = setting(
        (0.08, 1.0),
        help="smallest and largest area of a random crop, as a share of the image",
        minimum=0,
        maximum=1,
    )
    resize: int = setting(
        256, help="short side of an image before the center crop, in pixels", minimum=8
    )
    crop: int = setting(224, help="side of every crop, in pixels", minimum=8)
    pictures: int = setting(
        8, help="number of images whose attention is drawn", minimum=0, artifact=True
    )

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) in pixels of every image that the backbone sees."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Train the grid, choose a classifier on held-out images, and score it on val."""
        from vitbench_protocols.attentive_probe.running import score_probe  # imports torch

        return score_probe(self, backbone, context)
