"""Object discovery: is the one region that stands out of an image an object?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

if TYPE_CHECKING:
    from vitbench.api import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """Find one object in each image from the similarities of its patches, without labels.

    CorLoc is the percentage of images where the box found has an IoU of 0.5 or more with the box of
    any object; the box of the whole image is scored beside it, which features that tell nothing
    apart can reach. Published on VOC 2007 and 2012 (`--split trainval`) and on 20,000 images of
    COCO 2014 (`--split train`, their list by `--split-list`).

    Source:
        Simeoni et al., LOST, BMVC 2021; reference: valeoai/LOST (fcedbec). Wang et al.,
        TokenCut, CVPR 2022; reference: YangtaoWANG95/TokenCut (fed52cd).

    Differs:
        Of patches that are similar to equally many, LOST takes the first as its seed, as TokenCut
        does of equal entries of its eigenvector; the references take any. The eigenvector is found
        by Lanczos iterations, not by solving for all. Images without an object do not count.
    """

    name: ClassVar[str] = "discovery"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "instances"
    default_data: ClassVar[str] = "voc2012"
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("corloc", "CorLoc", primary=True),
        MetricSpec("iou", "IoU with the best object"),
        MetricSpec("whole_image", "CorLoc of the whole image", higher_is_better=None),
    )
    presets: ClassVar[Presets] = {"lost": {}, "tokencut": {"method": "tokencut"}}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "lost": "as LOST (Simeoni et al., BMVC 2021); one forward pass over the images",
        "tokencut": "as TokenCut (Wang et al., CVPR 2022); one eigenvector for each image",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval discovery dino-vits16 --split trainval --data voc2012",
        "vitbench eval discovery ckpt.pth --arch vit_small_patch16_224 --preset tokencut",
    )

    method: Literal["lost", "tokencut"] = setting(
        "lost", help="method that finds the region of the object", choices=("lost", "tokencut")
    )
    features: Literal["keys", "tokens"] = setting(
        "keys",
        help="features that are compared: keys of the last block's attention, or its output tokens",
        choices=("keys", "tokens"),
    )
    seeds: int = setting(
        100, help="patches of lowest degree that may join the seed (lost)", minimum=1
    )
    threshold: float = setting(
        0.2, help="cosine from which two patches are joined (tokencut)", minimum=-1, maximum=1
    )
    split: str = setting("train", help="split of the images: train, val, trainval, test")
    pictures: int = setting(
        16, help="number of images whose boxes are drawn", minimum=0, artifact=True
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The one split that is read."""
        return (self.split,)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Find a box in each image, and compare it with the objects."""
        from vitbench_protocols.discovery.running import discover  # imports torch

        return discover(self, backbone, context)
