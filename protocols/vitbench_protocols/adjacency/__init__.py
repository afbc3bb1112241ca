"""COCO ground-truth adjacency: how many neighbors are positives, and do features find them?"""

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
from vitbench_protocols.adjacency.counting import count_positives
from vitbench_protocols.adjacency.match import KS

if TYPE_CHECKING:
    from vitbench.api import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency(PositiveRule):
    """Count a patch's adjacent positives in the ground truth; or score which ones features find.

    Without a checkpoint, positives are counted in the annotations. With one, they are neighbors
    whose features have a cosine from `feature_threshold` on, and the choices of the features are
    scored against the ground truth: each score is of one image and averaged over images, but for
    the best threshold, which is of all. An image whose neighbors are all positive, or none, has
    no average precision and no AUROC.

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

    annotations: Literal["instances", "panoptic", "semantic"] = setting(
        "instances", help="COCO's objects, COCO's panoptic segments, or index maps as ADE20K's"
    )
    grid: bool = setting(False, help="count under every other reading too; no checkpoint then")
    layer: int = setting(-1, help="block whose patch features are compared, from the end")
    choose: Literal["top-k", "threshold"] = setting(
        "top-k", help="neighbors that features choose: the k most similar, or those above a cosine"
    )
    k: int = setting(4, help="neighbors that are chosen by rank", minimum=1, maximum=8)
    feature_threshold: float = setting(
        0.95, help="cosine of features that makes a positive", minimum=-1.0, maximum=1.0
    )
    overlays: int = setting(
        8, help="pictures of images with their patches", minimum=0, artifact=True
    )

    @property
    def data(self) -> DataKind:
        """What the annotations are."""
        return self.annotations

    def run(self, backbone: "Backbone | None", context: Context) -> Outcome:
        """Count the ground truth, or score a backbone against it."""
        if backbone is None:
            return count_positives(self, context)
        from vitbench_protocols.adjacency.features import score_features  # imports torch

        return score_features(self, backbone, context)
