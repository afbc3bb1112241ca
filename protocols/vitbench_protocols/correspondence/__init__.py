"""Semantic correspondence: does a point's feature find the same point in another image?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

if TYPE_CHECKING:
    from vitbench.api import Backbone

THRESHOLDS = {"pck10": 0.10, "pck05": 0.05, "pck01": 0.01}


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """Percentage of key points (PCK) whose nearest feature in the target lies close enough.

    Close is within 0.10 (0.05, 0.01) of the longer side of the object's box. `pck10` is the mean
    over pairs; `pck10_categories`, the mean over categories of the share of all their points, is
    what probe3d prints.

    Source:
        Min et al., SPair-71k, 2019. El Banani et al., Probing the 3D Awareness of Visual Foundation
        Models, CVPR 2024; reference: mbanani/probe3d,
        evaluate_spair_correspondence.py (a1f1464).

    Differs:
        All pairs count; probe3d draws 200 of each category and view.
    """

    name: ClassVar[str] = "correspondence"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "pairs"
    default_data: ClassVar[str] = "SPair-71k"
    splits: ClassVar[tuple[str, ...]] = ("test",)
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("pck10", "PCK@0.10", primary=True),
        MetricSpec("pck05", "PCK@0.05"),
        MetricSpec("pck01", "PCK@0.01"),
        MetricSpec("pck10_points", "PCK@0.10 (points)"),
        MetricSpec("pck10_categories", "PCK@0.10 (categories)"),
    )
    presets: ClassVar[Presets] = {"probe3d": {}, "small": {"size": 224}}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "probe3d": "as probe3d (El Banani et al., CVPR 2024): images of 800 px",
        "small": "ours: images of 224 px, minutes on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval correspondence dino-vits16 --data SPair-71k",
        "vitbench eval correspondence ckpt.pth --arch vit_small_patch16_224 --preset small",
    )

    size: int = setting(800, help="side of the padded, squared images, in pixels", minimum=16)
    layer: int = setting(
        -1, help="number of the block whose patches are compared; negative: from the last, -1"
    )
    pictures: int = setting(8, help="number of pairs that are drawn", minimum=0, artifact=True)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) of every image that passes, in pixels."""
        return self.size, self.size

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Find every point of every pair."""
        from vitbench_protocols.correspondence.running import match_pairs  # imports torch

        return match_pairs(self, backbone, context)
