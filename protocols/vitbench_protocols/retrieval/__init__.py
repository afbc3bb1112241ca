"""Image retrieval: are the images that answer a query nearer to it than the others?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, setting

if TYPE_CHECKING:
    from vitbench.api import Backbone

COPIES = {
    "view": "squared",
    "size": 320,
    "scales": (1.0,),
    "features": "pooled+gem",
    "shown": 20,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """Image retrieval by cosine similarity, scored by mean average precision (mAP).

    Revisited Oxford and Paris have three grades: easy (hard images left out), medium (all) and hard
    (easy images left out); `map` is medium. On Copydays and on classes there is one. With the
    preset `classes`, every validation image is the query once, and those of its class answer it.

    Source:
        Radenovic et al., Revisiting Oxford and Paris, CVPR 2018, sections 3.2 and 3.3. Caron et
        al., DINO, ICCV 2021. Reference: facebookresearch/dino,
        eval_image_retrieval.py and eval_copy_detection.py (7c446df).

    Differs:
        Images whose sides are no multiple of the patch are cut, not resized, to the next one.
        Equal similarities keep the order of the database.
    """

    name: ClassVar[str] = "retrieval"
    version: ClassVar[int] = 1
    default_data: ClassVar[str] = "roxford5k"
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("map", "mAP", primary=True),
        MetricSpec("map_easy", "mAP (easy)"),
        MetricSpec("map_hard", "mAP (hard)"),
        MetricSpec("precision1", "precision at 1"),
        MetricSpec("precision10", "precision at 10"),
    )
    presets: ClassVar[Presets] = {
        "landmarks": {},
        "landmarks-cropped": {"crop_queries": True},
        "classes": {"by_class": True, "view": "cropped", "size": 224, "scales": (1.0,)},
        "copies": COPIES,
        "copies-whitened": {**COPIES, "whiten": True},
    }
    preset_notes: ClassVar[Mapping[str, str]] = {
        "landmarks": "as DINO on Oxford and Paris (Caron et al., ICCV 2021), whole queries",
        "landmarks-cropped": "as landmarks, with queries cut to the box of their object",
        "classes": "ours: every validation image is a query for the images of its class",
        "copies": "as DINO on Copydays: images of 320 px, class token and patches",
        "copies-whitened": "as copies, with features whitened on other images",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval retrieval dino-vits16 --data roxford5k",
        "vitbench eval retrieval ckpt.pth --arch vit_small_patch16_224 --preset classes --data"
        " imagenet",
    )

    by_class: bool = setting(
        False,
        help="search a data set with classes: every image is a query for those of its class",
        off="search a database for given queries",
    )
    view: Literal["whole", "squared", "cropped"] = setting(
        "whole",
        help="shape of an image: whole with its long side at --size, as a square, or"
        " center-cropped",
        choices=("whole", "squared", "cropped"),
    )
    size: int = setting(
        512, help="long side of the image, or side of the square or crop, in pixels", minimum=16
    )
    scales: tuple[float, ...] = setting(
        (1.0, 0.5**0.5, 0.5), help="scales whose features are averaged", minimum=0.05, maximum=4
    )
    crop_queries: bool = setting(
        False,
        help="cut each query to the box of its object",
        off="use queries whole, beyond the box of their object",
    )
    features: Literal["pooled", "pooled+gem"] = setting(
        "pooled",
        help="image-level feature, or that joined with the patches' generalized mean",
        choices=("pooled", "pooled+gem"),
    )
    whiten: bool = setting(
        False,
        help="whiten features by the statistics of the images in the split `whitening`",
        off="compare features without whitening",
    )
    shown: int = setting(
        0,
        help="number of places of the ranking that count; 0: all",
        minimum=0,
    )
    pictures: int = setting(
        8, help="number of queries whose rankings are drawn", minimum=0, artifact=True
    )

    @property
    def data(self) -> DataKind:
        """Classified images, or queries with known answers."""
        return "classification" if self.by_class else "retrieval"

    @property
    def splits(self) -> tuple[str, ...]:
        """What is read; queries are what is scored."""
        if self.by_class:
            return ("val",)
        return (*(("whitening",) if self.whiten else ()), "database", "queries")

    @property
    def follows_resampling(self) -> bool:
        """Whether every image is resized as the run's option tells."""
        return self.view == "cropped"

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Rank the database for every query."""
        from vitbench_protocols.retrieval.running import rank_and_score  # imports torch

        return rank_and_score(self, backbone, context)
