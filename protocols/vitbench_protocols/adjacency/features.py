"""Compare the neighbors that features choose with those that the ground truth has."""

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitbench.api import (
    Backbone,
    Context,
    Outcome,
    Score,
)
from vitbench.api import errors as wrong
from vitbench.kit import (
    Fetched,
    Geometry,
    LabeledDataset,
    distributed,
    load_batches,
    neighbor_similarities,
    on_grid,
    one_behind,
    send,
    to_pixels,
)
from vitbench_protocols.adjacency.match import (
    best_threshold,
    choose,
    rank_neighbors,
    rank_scores,
    share,
)
from vitbench_protocols.adjacency.pictures import draw_histogram, draw_overlays
from vitbench_protocols.adjacency.rank_curve import KS
from vitbench_protocols.adjacency.tables import group_tables
from vitbench_protocols.adjacency.truth import (
    Bools,
    Truth,
    image_means,
    open_labels,
    read_truth,
    take_patches,
)

if TYPE_CHECKING:
    from vitbench_protocols.adjacency import Adjacency

BATCH = 32

Cosines = NDArray[np.float32]  # of each patch's feature and its neighbors', (n, 8, h, w)
Items = dict[str, NDArray[np.float64]]


def score_features(protocol: "Adjacency", backbone: Backbone, context: Context) -> Outcome:
    """Compare the features of every annotated image with its ground truth.

    Raises:
        DatasetError: If nothing is left to compare.
    """
    dataset = open_labels(context)
    truth = read_truth(dataset, protocol, context)
    cosines = _cosines(protocol, backbone, dataset, truth, context)
    if cosines is None:
        return Outcome(())
    chosen = choose(
        cosines, truth, protocol.choose, k=protocol.k, threshold=protocol.feature_threshold
    )
    items, whole = score(cosines, chosen, truth, protocol.feature_threshold)
    found = {name: _average(name, values) for name, values in items.items()}
    found |= {name: Score(name, value, len(truth.ids)) for name, value in whole.items()}
    scores = tuple(found[metric.name] for metric in protocol.metrics)
    artifacts = _artifacts(protocol, cosines, chosen, truth, items, dataset, context)
    return Outcome(scores, {"ids": truth.ids, **items}, artifacts)


def score(
    cosines: Cosines, chosen: Bools, truth: Truth, threshold: float
) -> tuple[Items, dict[str, float | None]]:
    """Score cosines and the neighbors chosen by them.

    Args:
        cosines: Of features, (n, 8, h, w).
        chosen: Neighbors, (n, 8, h, w).
        truth: The ground truth.
        threshold: Cosine from which features say "positive".

    Returns:
        For each metric that is of an image, its values (n,); and the metrics that are of all.
    """
    pairs = truth.exists & truth.counted[:, None]
    positive = truth.positive & pairs
    ranking = rank_neighbors(cosines, truth)
    above = np.count_nonzero(pairs & (cosines >= threshold), axis=1)
    means = image_means(np.asarray(above), truth.counted)
    ap, auroc = rank_scores(cosines, truth)
    items = {
        "positives_mean": means,
        "ap": ap,
        "auroc": auroc,
        "precision": share(positive, chosen),
        "recall": share(chosen, positive),
        **{f"precision_at_{k}": share(*ranking.at(k)) for k in KS},
        "chance": share(positive, pairs),
    }
    items["precision_above_chance"] = items["precision"] - items["chance"]
    best = best_threshold(cosines, truth)
    return items, {
        "positives_std": None if np.isnan(means).all() else float(np.nanstd(means)),
        "best_threshold": best[0] if best else None,
        "best_f1": best[1] if best else None,
    }


def check_backbone(protocol: "Adjacency", backbone: Backbone) -> None:
    """Refuse, before any work, a backbone whose maps are not on the grid of the ground truth.

    Raises:
        SettingError: It has patches of another size, or a grid was asked for.
        MissingAbility: It can't take such images.
    """
    if protocol.grid:
        raise wrong.SettingError(
            ["--grid reads the ground truth in every way, and takes no checkpoint"]
        )
    side = _side(protocol, backbone)
    found = backbone.map_size(side, side, protocol.layer)
    cells = protocol.image_px // protocol.patch_px
    if found != (cells, cells) and not protocol.resize_maps:
        stride = backbone.info.stage(protocol.layer).stride
        raise wrong.SettingError(
            [
                f"--patch-px is {protocol.patch_px}, but {backbone.info.arch} has patches of "
                f"{stride} px at block {protocol.layer}: a grid of {found[0]} x {found[1]} where "
                f"the ground truth has {cells} x {cells}"
            ],
            hint=f"--patch-px {stride}; or --resize-maps, which compares all on one grid",
        )


def _side(protocol: "Adjacency", backbone: Backbone) -> int:
    """Return the side of the images that the backbone sees, px."""
    if not protocol.resize_maps:
        return protocol.image_px
    unit = backbone.info.patch_size
    return max(1, round(protocol.image_px / unit)) * unit


def _average(name: str, values: NDArray[np.float64]) -> Score:
    known = values[~np.isnan(values)]
    return Score(name, float(known.mean()) if len(known) else None, len(known))


@torch.inference_mode()
def _cosines(
    protocol: "Adjacency",
    backbone: Backbone,
    dataset: LabeledDataset,
    truth: Truth,
    context: Context,
) -> Cosines | None:
    """Return the cosine of each patch's feature with its neighbors', (n, 8, h, w), on main."""
    geometry = Geometry(protocol.geometry, protocol.image_px)
    side, cells = _side(protocol, backbone), protocol.image_px // protocol.patch_px

    def view(image: Image.Image) -> Tensor:
        return to_pixels(geometry.apply(image, Image.Resampling.BICUBIC))

    mine = distributed.share(truth.indices.tolist())
    size = context.batch_size or BATCH
    batches = [mine[start : start + size] for start in range(0, len(mine), size)]
    found: list[tuple[int, Cosines]] = []
    loaded = load_batches(dataset, batches, view, workers=context.workers)

    def compare(pixels: Tensor) -> Fetched:
        seen = on_grid(send(pixels, context.device), (side, side))
        with context.autocast():
            patches = backbone(context.normalization(seen), (protocol.layer,))[0].patches
        patches = on_grid(patches, (cells, cells))
        likeness = neighbor_similarities(patches.float())  # (B, h * w, 8)
        return Fetched(likeness.transpose(1, 2).reshape(len(pixels), 8, *patches.shape[-2:]))

    for batch, grids in one_behind((batch, compare(pixels)) for batch, pixels in loaded):
        found += zip(batch, grids.numpy(), strict=True)
        context.progress("features", len(found), len(mine), "images")
    everything = distributed.gather_on_main(found)
    if everything is None:
        return None
    parts = sorted(chain.from_iterable(everything), key=lambda entry: entry[0])
    return np.stack([cosines for _, cosines in parts])


def _artifacts(
    protocol: "Adjacency",
    cosines: Cosines,
    chosen: Bools,
    truth: Truth,
    items: Items,
    dataset: LabeledDataset,
    context: Context,
) -> dict[str, Path]:
    counts, threshold = truth.counts, protocol.feature_threshold
    above = np.count_nonzero(truth.exists & (cosines >= threshold), axis=1)
    drawn = draw_histogram(
        {
            "ground truth": (counts[truth.counted], image_means(counts, truth.counted)),
            "features": (above[truth.counted], items["positives_mean"]),
        },
        context.output / "counts.svg",
    )

    def measure(mask: Bools) -> dict[str, float | None]:
        group = truth.patches(mask)
        found, whole = score(
            take_patches(cosines, mask), take_patches(chosen, mask), group, threshold
        )
        values = {name: float(value[0]) for name, value in found.items()}
        known = {name: None if np.isnan(value) else value for name, value in values.items()}
        return {**known, "best_threshold": whole["best_threshold"], "best_f1": whole["best_f1"]}

    tables = group_tables(truth, dataset, context.output, measure)
    positives = image_means(counts, truth.counted)  # chooses the same images for every backbone
    overlays = draw_overlays(
        protocol, protocol.overlays, truth, positives, dataset, context, chosen
    )
    return {"histogram": drawn, **tables, **overlays}
