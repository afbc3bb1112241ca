"""k-NN classification on frozen features: a weighted vote of the nearest training images."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from vitbench.api import (
    Context,
    DataKind,
    ImageView,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    Score,
    setting,
)
from vitbench.kit import cut_note, distributed, write_class_table

if TYPE_CHECKING:
    import torch

    from vitbench.api import Backbone
    from vitbench.kit import Neighbors

KS = (10, 20, 100, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knn:
    """Accuracy of a weighted k-nearest-neighbor vote among frozen image-level features.

    The 10, 20, 100 and 200 training images whose features are most similar to those of a
    validation image vote on its class, each with the weight exp(cosine / temperature).

    Source:
        Caron et al., DINO, ICCV 2021, appendix F.1. Reference: facebookresearch/dino, eval_knn.py
        (7c446df).

    Differs:
        Works below 100 test images; equal scores go to the lowest class index.
    """

    name: ClassVar[str] = "knn"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = tuple(
        MetricSpec(f"top{top}_k{k}", f"top-{top} (k={k})", primary=(top, k) == (1, 20))
        for k in KS
        for top in (1, 5)
    )
    presets: ClassVar[Presets] = {"dino": {}}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "dino": "as DINO's paper (Caron et al., ICCV 2021); one forward pass over train and val"
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval knn dino-vits16 --data imagenet",
        "vitbench eval knn ckpt.pth --arch vit_small_patch16_224 --data imagenet"
        " --limit train=10000 val=1000",
    )

    temperature: float = setting(
        0.07,
        help="temperature T of the votes: a neighbor's weight is exp(cosine / T)",
        minimum=1e-3,
    )
    resize: int = setting(
        256, help="short side of an image before the center crop, in pixels", minimum=8
    )
    crop: int = setting(224, help="side of the center crop, in pixels", minimum=8)
    engine: Literal["faiss", "torch"] = setting(
        "torch",
        help="library that searches for the neighbors; both find the same, exactly",
        identity=False,
    )

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) in pixels of every image that the backbone sees."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Let the training images vote on every validation image, for every k in one search."""
        import torch

        from vitbench.api import FeatureSpec
        from vitbench.kit import vote

        if cut := cut_note(self.crop, backbone.info.stage(0).stride):
            context.note(cut)
        spec = FeatureSpec(view=ImageView(self.resize, self.crop))
        train, val = (context.features(split, spec) for split in ("train", "val"))
        bank, queries = (table.vectors().to(context.device) for table in (train, val))
        for rows in (bank, queries):  # in place: the bank is the largest thing in memory
            rows /= rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
        if len(bank) < KS[-1]:
            context.note(
                f"a larger k than {len(bank)}, the number of training images, is cut to it"
            )
        found = self._search(bank, queries, min(KS[-1], len(bank)))
        labels, truth = torch.from_numpy(train.targets), torch.from_numpy(val.targets)
        items: dict[str, NDArray[np.float64]] = {}
        for k in KS:
            ranked = vote(found, labels, classes=train.classes, k=k, temperature=self.temperature)
            hits = ranked == truth[:, None]
            items[f"top1_k{k}"] = 100.0 * hits[:, 0].double().numpy()
            items[f"top5_k{k}"] = 100.0 * hits.any(dim=1).double().numpy()
        scores = tuple(
            Score(metric.name, float(items[metric.name].mean()), len(truth))
            for metric in self.metrics
        )
        tables = write_class_table(context.dataset("val"), items, context)
        return Outcome(scores, {"ids": np.array(val.ids), **items}, tables)

    def _search(self, bank: "torch.Tensor", queries: "torch.Tensor", k: int) -> "Neighbors":
        """Search this process's part of the queries, and put the parts together."""
        import torch

        from vitbench.kit import Neighbors, search

        mine = torch.arange(len(queries))[distributed.rank() :: distributed.world_size()]
        found = search(bank, queries[mine], k, engine=self.engine)
        parts = distributed.gather((mine, found.similarities.cpu(), found.indices.cpu()))
        order = torch.cat([part[0] for part in parts]).argsort()
        return Neighbors(
            torch.cat([part[1] for part in parts])[order],
            torch.cat([part[2] for part in parts])[order],
        )
