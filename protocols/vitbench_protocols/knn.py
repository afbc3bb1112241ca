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
from vitbench.kit import (
    GAP_METRICS,
    competing,
    cut_note,
    distributed,
    gap_scores,
    splits_with,
    write_class_table,
)

if TYPE_CHECKING:
    from vitbench.api import Backbone, FeatureTable

KS = (10, 20, 100, 200)


@dataclass(frozen=True, slots=True, kw_only=True)
class Knn:
    """Accuracy of a weighted k-nearest-neighbor vote among frozen image-level features.

    The 10, 20, 100 and 200 training images whose features are most similar to those of a
    validation image vote on its class, each with the weight exp(cosine / temperature). With
    `queries` the images of another set are classified, by training images of its classes alone.

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
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    follows_resampling: ClassVar[bool] = True
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        tuple(
            MetricSpec(f"top{top}_k{k}", f"top-{top} (k={k})", primary=(top, k) == (1, 20))
            for k in KS
            for top in (1, 5)
        )
        + GAP_METRICS
    )
    presets: ClassVar[Presets] = {"dino": {}}
    preset_notes: ClassVar[Mapping[str, str]] = {
        "dino": "as DINO's paper (Caron et al., ICCV 2021); one forward pass over train and val"
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval knn dino-vits16 --data imagenet",
        "vitbench eval knn ckpt.pth --arch vit_small_patch16_224 --data imagenet"
        " --limit train=10000 val=1000",
        "vitbench eval knn dino-vits16 --data imagenet --queries imagenet-a",
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
    queries: str = setting(
        "",
        help="second data set, whose images are classified in the place of val's, with classes of"
        " the same names (ImageNet-V2, -A, -R, -Sketch, -C); the gap to val is a score too",
        identity=False,  # its content is part of the data's identity
    )
    engine: Literal["faiss", "torch"] = setting(
        "torch",
        help="library that searches for the neighbors; both find the same, exactly",
        identity=False,
    )

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are read, the one that is scored last."""
        return splits_with(self.queries)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) in pixels of every image that the backbone sees."""
        return self.crop, self.crop

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Let the training images vote on every image that is scored."""
        from vitbench.api import FeatureSpec

        if cut := cut_note(self.crop, backbone.info.stage(0).stride):
            context.note(cut)
        spec = FeatureSpec(view=ImageView(self.resize, self.crop))
        train, *asked = (context.features(split, spec) for split in self.splits)
        rows = np.arange(len(train.targets))
        if self.queries:
            rows = rows[np.isin(train.targets, competing(context))]
        *clean, items = (self._hits(train, rows, table, context) for table in asked)
        if not distributed.is_main():
            return Outcome(())
        count = len(asked[-1].ids)
        scores = [Score(name, float(values.mean()), count) for name, values in items.items()]
        for before in clean:
            scores += gap_scores(before["top1_k20"], items["top1_k20"], context)
        tables = write_class_table(context.dataset(self.splits[-1]), items, context)
        return Outcome(tuple(scores), {"ids": np.array(asked[-1].ids), **items}, tables)

    def _hits(
        self,
        train: "FeatureTable",
        rows: NDArray[np.int64],
        asked: "FeatureTable",
        context: Context,
    ) -> dict[str, NDArray[np.float64]]:
        """Let rows of train vote; return by metric 100 for each image that is right, else 0.

        The main process gets those of all images, others NaN.
        """
        import torch

        from vitbench.kit import search, send, vote

        bank = train.vectors() if len(rows) == len(train.targets) else train.vectors()[rows]
        bank, queries = bank.to(context.device), asked.vectors().to(context.device)
        for vectors in (bank, queries):  # in place: the bank is the largest thing in memory
            vectors /= vectors.norm(dim=1, keepdim=True).clamp_min(1e-12)
        if len(bank) < KS[-1]:
            context.note(
                f"a larger k than {len(bank)}, the number of training images, is cut to it"
            )
        mine = np.arange(len(queries))[distributed.rank() :: distributed.world_size()]
        own = send(mine, context.device)
        found = search(bank, queries[own], min(KS[-1], len(bank)), engine=self.engine)
        labels, truth = (
            send(np.asarray(values), context.device)
            for values in (train.targets[rows], asked.targets)
        )
        columns: dict[str, torch.Tensor] = {}
        for k in KS:
            ranked = vote(found, labels, classes=train.classes, k=k, temperature=self.temperature)
            hits = ranked == truth[own, None]
            columns |= {f"top1_k{k}": hits[:, 0], f"top5_k{k}": hits.any(dim=1)}
        right = torch.stack(list(columns.values())).cpu().numpy()
        whole = np.full((len(columns), len(queries)), np.nan)
        for places, part in distributed.gather_on_main((mine, right)) or ():
            whole[:, places] = 100.0 * part
        return dict(zip(columns, whole, strict=True))
