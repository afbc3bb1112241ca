"""COCO detection and instance segmentation: Mask R-CNN, fine-tuned on a backbone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from vitbench.api import Context, MetricSpec, Need, Outcome, setting
from vitbench.kit import PositionRule, distributed
from vitbench_protocols.detection.metrics import METRICS, Engine
from vitbench_protocols.detection.settings import Learning, MaskRCNN
from vitbench_protocols.detection.truth import Truth, check_categories, open_instances
from vitbench_protocols.detection.views import Views

if TYPE_CHECKING:
    from vitbench.api import Backbone, InstanceDataset
    from vitbench_protocols.detection.results import Detected

RESULTS = "results.json"
SMALL = {
    "drop_path": (0.0, 0.0),
    "views": Views(short=(112, 128, 144, 160), long=256, crop=()),
    "network": MaskRCNN(channels=64, hidden=256, proposals=48, score=0.01),
    "learning": Learning(
        epochs=14,
        drops=(11, 13),
        batch_size=4,
        learning_rate=1e-3,
        layer_decay=0.75,
        warmup_steps=30,
        check_epochs=7,
    ),
    "short": 144,
    "long": 256,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """Object detection and instance segmentation with a fine-tuned Mask R-CNN, scored by COCO's AP.

    AP is the average precision of boxes and of masks, averaged over the IoU thresholds 0.50 to 0.95
    and over categories.

    Source:
        Yun et al., SelfPatch, CVPR 2022, table 1; reference: alinlab/SelfPatch (81aef14),
        detection/configs. He et al., Mask R-CNN, ICCV 2017.

    Differs:
        Every image is padded by itself and weighs the same in the losses, as with one image a GPU;
        XCiT and mmdet-1x had two. 8 and 16 images a step: the published numbers name those of a
        GPU, the step size and warm-up of the released configuration suggest 8 GPUs. The class
        token, where the checkpoint has one, stays in the backbone. Mixed precision is bfloat16.
        Maps of any stride are taken: those of one stride for the nearest of 4, 8, 16 and 32 px (a
        patch of 14 px for 16, resized), those of a pyramid for its levels, each behind a layer
        norm. Batch normalization in the backbone keeps its statistics; its weights learn.
    """

    name: ClassVar[str] = "detection"
    version: ClassVar[int] = 3
    data: ClassVar[Literal["instances"]] = "instances"
    default_data: ClassVar[str] = "coco"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "correct-heads": {},
        "selfpatch-release": {"heads": 8, "heads_width": 384},
        "xcit": {
            "drop_path": (0.05, 0.05),
            "learning": Learning(
                epochs=36,
                drops=(27, 33),
                batch_size=16,
                learning_rate=1e-4,
                warmup_steps=500,
                undecayed=("absolute_pos_embed", "relative_position_bias_table", "norm"),
            ),
        },
        "mmdet-1x": {
            "drop_path": (0.0, 0.0),
            "views": Views(short=(800,), crop=()),
            "learning": Learning(
                batch_size=16,
                optimizer="sgd",
                learning_rate=0.02,
                weight_decay=1e-4,
                undecayed=(),
                warmup_steps=500,
            ),
        },
        "small": SMALL,
    }

    preset_notes: ClassVar[Mapping[str, str]] = {
        "correct-heads": "SelfPatch's configuration (Yun et al., CVPR 2022) with the checkpoint's"
        " own heads: 12 epochs",
        "selfpatch-release": "SelfPatch's configuration as released, for ViT-S only: 8 heads where"
        " the checkpoints have 6",
        "xcit": "XCiT's schedule (El-Nouby et al., NeurIPS 2021): 36 epochs",
        "mmdet-1x": "mmdetection's 1x schedule for ResNets: SGD, 12 epochs",
        "small": "ours: a small Mask R-CNN on images of 144 px for 14 epochs, minutes on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval detection dino-vits16 --data coco",
        "vitbench eval detection ckpt.pth --arch vit_small_patch16_224 --preset small"
        " --data synthetic",
    )

    adapter: Literal["four-taps", "simple-pyramid"] = setting(
        "four-taps",
        help="how the backbone's features become a pyramid: from four blocks, as published, or from"
        " the last block, as in ViTDet",
        choices=("four-taps", "simple-pyramid"),
    )
    layers: tuple[int, ...] = setting(
        (),
        help="blocks whose features the pyramid gets; left out: 3 5 7 11 of 12 blocks, or the last"
        " of each stage",
    )
    heads: int = setting(
        0, help="attention heads of the ViT in the detector; 0: those of the checkpoint", minimum=0
    )
    heads_width: int = setting(
        0, help="refuse --heads for a ViT of another width than this; 0: any width", minimum=0
    )
    freeze: bool = setting(False, help="keep the backbone frozen and train the detector alone")
    drop_path: tuple[float, float] = setting(
        (0.0, 0.05),
        help="drop-path rates of the first and the last block",
        minimum=0,
        maximum=0.99,
    )
    positions: PositionRule = setting(
        "dino", help="how the position table is resized for each image"
    )
    network: MaskRCNN = setting(MaskRCNN(), help="sizes of Mask R-CNN")
    views: Views = setting(Views(), help="sizes and crops of the training images")
    learning: Learning = setting(Learning(), help="epochs and optimizer of the training")
    short: int = setting(
        800, help="short side of the resized image when it is scored, in pixels", minimum=16
    )
    long: int = setting(
        1333, help="largest long side of the resized image when it is scored, in pixels", minimum=16
    )
    engine: Engine = setting(
        "pycocotools",
        help="library that computes AP; both give the same numbers",
        identity=False,
    )

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone that these settings can't train a detector on."""
        from vitbench_protocols.detection.building import check_backbone  # imports torch

        check_backbone(self, backbone)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Learn from the training images and score every validation image at its own size."""
        from vitbench_protocols.detection.learning import learn_and_detect  # imports torch

        val = open_instances(context, "val")
        truth = Truth.of(val)
        check_categories(open_instances(context, "train"), truth)
        detections = learn_and_detect(self, backbone, context, truth)
        return distributed.compute_on_main(
            lambda: _outcome(detections or [], val, truth, context, self.engine)
        )


def _outcome(
    detections: "Sequence[Detected]",
    val: "InstanceDataset",
    truth: Truth,
    context: Context,
    engine: Engine,
) -> Outcome:
    from vitbench_protocols.detection.outcome import finish  # help does without both
    from vitbench_protocols.detection.results import write_results

    outcome = finish(detections, val, truth, context, engine)
    path = context.output / RESULTS
    write_results(detections, path)
    return Outcome(outcome.scores, outcome.items, {**outcome.artifacts, "results": path})
