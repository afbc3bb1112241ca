"""Which neighbours a checkpoint's features choose, against those that the ground truth has."""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitbench.api import (
    Backbone,
    Context,
    DataKind,
    Geometry,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    Reading,
    Score,
    distributed,
    load_batches,
    neighbour_similarities,
    setting,
    to_pixels,
)
from vitbench.api import errors as wrong
from vitbench_protocols.adjacency.match import (
    best_threshold,
    choose,
    rank_neighbours,
    rank_scores,
    share,
)
from vitbench_protocols.adjacency.pictures import draw_histogram, draw_overlays
from vitbench_protocols.adjacency.tables import group_tables
from vitbench_protocols.adjacency.truth import (
    LabelledDataset,
    Truth,
    image_means,
    open_labels,
    read_truth,
)

KS = (1, 2, 4, 6, 8)
BATCH = 32

METRICS = (
    MetricSpec("ap", "average precision", primary=True),
    MetricSpec("auroc", "AUROC"),
    MetricSpec("precision", "precision of the chosen"),
    MetricSpec("recall", "recall of the chosen"),
    *(MetricSpec(f"precision_at_{k}", f"precision of the {k} most similar") for k in KS),
    MetricSpec("chance", "precision of any neighbour", higher_is_better=None),
    MetricSpec("positives_mean", "neighbours above the threshold", "count", None),
    MetricSpec("positives_std", "their std over images", "count", None),
    MetricSpec("best_threshold", "best threshold", "", None),
    MetricSpec("best_f1", "F1 at the best threshold"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdjacencyFeatures(Reading):
    """Score which neighbours of a patch the features take for positives, by the ground truth.

    Each score is of one image and averaged over images, but for the best threshold. An image whose
    neighbours are all positive, or none, has no average precision and no AUROC.

    Source:
        The assumption tested is SelfPatch's (Yun et al., CVPR 2022, section 3.2): the neighbours
        of the most similar features are positives.
    """

    name: ClassVar[str] = "adjacency-features"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "instances"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = METRICS
    presets: ClassVar[Presets] = {"selfpatch": {}}

    layer: int = setting(-1, help="block whose patch tokens are compared, from the end")
    choose: Literal["top-k", "threshold"] = setting(
        "top-k", help="how features choose neighbours: by rank, or by cosine"
    )
    k: int = setting(4, help="neighbours that are chosen by rank", minimum=1, maximum=8)
    feature_threshold: float = setting(
        0.95, help="cosine of features that makes a positive", minimum=-1.0, maximum=1.0
    )
    overlays: int = setting(
        8, help="pictures of images with hits and misses", minimum=0, identity=False
    )

    def run(self, backbone: Backbone, context: Context) -> Outcome:
        """Compare the features of every annotated image with its ground truth."""
        if backbone.info.patch_size != self.patch_px:
            raise wrong.SettingError(
                [
                    f"--patch-px is {self.patch_px}, but {backbone.info.arch} has patches of "
                    f"{backbone.info.patch_size}"
                ],
                hint=f"--patch-px {backbone.info.patch_size}",
            )
        dataset = open_labels(context)
        truth = read_truth(dataset, self, context)
        cosine = self._cosines(backbone, dataset, truth, context)
        items, whole = self.score(cosine, truth)
        scores = [
            Score(name, float(np.nanmean(values)), int(np.count_nonzero(~np.isnan(values))))
            if not np.isnan(values).all()
            else Score(name, None, 0)
            for name, values in items.items()
        ]
        scores += [Score(name, value, len(truth.ids)) for name, value in whole.items()]
        artifacts: dict[str, Path] = {}
        if distributed.is_main():
            artifacts = self._artifacts(cosine, truth, items, dataset, context)
        return Outcome(tuple(scores), {"ids": truth.ids, **items}, artifacts)

    def score(
        self, cosine: NDArray[np.float32], truth: Truth
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, float | None]]:
        """Score cosines (n, 8, h, w) against the truth: one value an image, and those of all."""
        chosen = self._chosen(cosine, truth)
        pairs = truth.exists & truth.counted[:, None]
        positive = truth.positive & pairs
        ranking = rank_neighbours(cosine, truth)
        above = np.count_nonzero(pairs & (cosine >= self.feature_threshold), axis=1)
        ap, auroc = rank_scores(cosine, truth)
        items = {
            "ap": ap,
            "auroc": auroc,
            "precision": share(positive, chosen),
            "recall": share(chosen, positive),
            **{f"precision_at_{k}": share(*ranking.at(k)) for k in KS},
            "chance": share(positive, pairs),
            "positives_mean": image_means(np.asarray(above), truth.counted),
        }
        best = best_threshold(cosine, truth)
        spread = items["positives_mean"]
        return items, {
            "positives_std": None if np.isnan(spread).all() else float(np.nanstd(spread)),
            "best_threshold": best[0] if best else None,
            "best_f1": best[1] if best else None,
        }

    def _chosen(self, cosine: NDArray[np.float32], truth: Truth) -> NDArray[np.bool_]:
        return choose(cosine, truth, self.choose, k=self.k, threshold=self.feature_threshold)

    @torch.inference_mode()
    def _cosines(
        self, backbone: Backbone, dataset: LabelledDataset, truth: Truth, context: Context
    ) -> NDArray[np.float32]:
        """Return the cosine of each patch's feature with its neighbours', (n, 8, h, w)."""
        geometry = Geometry(self.geometry, self.image_px)

        def view(image: Image.Image) -> Tensor:
            return to_pixels(geometry.apply(image, Image.Resampling.BICUBIC))

        mine = distributed.share(truth.indices.tolist())
        batches = [mine[start : start + BATCH] for start in range(0, len(mine), BATCH)]
        found: list[tuple[int, NDArray[np.float32]]] = []
        for batch, pixels in load_batches(dataset, batches, view, workers=context.workers):
            images = context.normalization(pixels.to(context.device, non_blocking=True))
            with context.autocast():
                patches = backbone(images, (self.layer,))[0].patches
            h, w = patches.shape[-2:]
            likeness = neighbour_similarities(patches.float())  # (B, h * w, 8)
            arrays = likeness.transpose(1, 2).reshape(-1, 8, h, w).cpu().numpy()
            found += zip(batch, arrays, strict=True)
            context.progress("features", len(found), len(mine))
        parts = sorted(chain.from_iterable(distributed.gather(found)), key=lambda entry: entry[0])
        return np.stack([cosines for _, cosines in parts])

    def _artifacts(
        self,
        cosine: NDArray[np.float32],
        truth: Truth,
        items: dict[str, NDArray[np.float64]],
        dataset: LabelledDataset,
        context: Context,
    ) -> dict[str, Path]:
        counts = truth.counts
        chosen = self._chosen(cosine, truth)
        above = np.count_nonzero(truth.exists & (cosine >= self.feature_threshold), axis=1)
        drawn = draw_histogram(
            {
                "ground truth": (counts[truth.counted], image_means(counts, truth.counted)),
                "features": (above[truth.counted], items["positives_mean"]),
            },
            context.output / "counts.svg",
        )
        per_patch = {
            "positives": counts,
            "hits": np.count_nonzero(chosen & truth.positive, axis=1),
            "chosen": np.count_nonzero(chosen, axis=1),
        }
        tables = group_tables(truth, dataset, context.output, per_patch)
        overlays = draw_overlays(self, self.overlays, truth, items["ap"], dataset, context, chosen)
        return {"histogram": drawn, **tables, **overlays}


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticAdjacencyFeatures(AdjacencyFeatures):
    """Score which neighbours the features take for positives, by panoptic ground truth."""

    name: ClassVar[str] = "adjacency-features-panoptic"
    data: ClassVar[DataKind] = "panoptic"


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticAdjacencyFeatures(AdjacencyFeatures):
    """Score which neighbours the features take for positives, by index maps as ADE20K's."""

    name: ClassVar[str] = "adjacency-features-semantic"
    data: ClassVar[DataKind] = "semantic"
