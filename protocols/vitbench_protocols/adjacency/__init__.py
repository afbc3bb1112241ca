"""COCO ground-truth adjacency: how many neighbors are positives, and do features find them?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import (
    Context,
    DataKind,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    setting,
)
from vitbench.kit import PositiveRule
from vitbench_protocols.adjacency.rank_curve import KS

if TYPE_CHECKING:
    from vitbench.api import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency(PositiveRule):
    """How many of a patch's 8 neighbors show the same object, and do features find those neighbors?

    Such a neighbor is an adjacent positive. Without a checkpoint, positives are counted in the
    annotations. With one, neighbors whose features have a cosine of at least `feature_threshold`
    are counted, and the neighbors that the features choose are scored against the annotations. A
    score is computed for each image and averaged over images, except the best threshold, which is
    chosen on all images. An image whose neighbors are all positive, or none of them, has no average
    precision and no AUROC.

    Source:
        Yun et al., SelfPatch, CVPR 2022, supplementary, section G: 4.3 ± 1.2 on COCO's validation
        images. The text leaves the settings open; the defaults are its best-supported reading.
        Section 3.2 assumes what is scored: neighbors of similar features are positives.
    """

    name: ClassVar[str] = "adjacency"
    version: ClassVar[int] = 1
    default_data: ClassVar[str] = "coco"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset()
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("positives_mean", "adjacent positives", "count", None, primary=True),
        MetricSpec("positives_std", "their std over images", "count", None),
        MetricSpec("precision_above_chance", "precision above chance"),
        MetricSpec("ap", "AP of neighbors"),
        MetricSpec("auroc", "AUROC"),
        MetricSpec("precision", "precision"),
        MetricSpec("recall", "recall"),
        *(MetricSpec(f"precision_at_{k}", f"precision at {k}") for k in KS),
        MetricSpec("chance", "chance precision", "%", None),
        MetricSpec("best_threshold", "best threshold", "", None),
        MetricSpec("best_f1", "F1 at it"),
    )
    presets: ClassVar[Presets] = {"selfpatch": {}}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "selfpatch": "as SelfPatch's supplementary (Yun et al., CVPR 2022, section G), read in the"
        " best-supported way; one forward pass over val"
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval adjacency --data coco",
        "vitbench eval adjacency dino-vits16 --data coco",
    )

    annotations: Literal["instances", "panoptic", "semantic"] = setting(
        "instances",
        help="kind of annotations: COCO's objects, COCO's panoptic segments, or index maps such as"
        " ADE20K's",
    )
    grid: bool = setting(
        False, help="count positives under every other rule too; takes no checkpoint"
    )
    layer: int = setting(
        -1, help="number of the block whose patches are compared; negative: from the last, -1"
    )
    resize_maps: bool = setting(
        False,
        help="resize maps of any stride to the grid of --patch-px, bilinearly, so that networks "
        "share a column; without it, other strides are refused",
    )
    choose: Literal["top-k", "threshold"] = setting(
        "top-k",
        help="neighbors that the features choose: the --k most similar ones, or those whose cosine"
        " is at least --feature-threshold",
    )
    k: int = setting(4, help="number of neighbors that `top-k` chooses", minimum=1, maximum=8)
    feature_threshold: float = setting(
        0.95,
        help="cosine of two patches' features from which on they count as positive",
        minimum=-1.0,
        maximum=1.0,
    )
    overlays: int = setting(
        8, help="number of images that are drawn with their patches", minimum=0, artifact=True
    )

    @property
    def data(self) -> DataKind:
        """The kind of data that has the annotations."""
        return self.annotations

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone whose maps are not on the grid of the ground truth."""
        from vitbench_protocols.adjacency.features import check_backbone  # imports torch

        check_backbone(self, backbone)

    def run(self, backbone: "Backbone | None", context: Context) -> Outcome:
        """Count the ground truth, or score a backbone against it."""
        if backbone is None:
            from vitbench_protocols.adjacency.counting import count_positives

            return count_positives(self, context)
        from vitbench_protocols.adjacency.features import score_features  # imports torch

        return score_features(self, backbone, context)
