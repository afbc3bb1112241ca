"""One run: passes, statistics, words and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.nn.functional import cosine_similarity

from vitbench.api import Backbone, Context, Outcome, Score
from vitbench.kit import cut_note, permutation, write_curve
from vitbench_protocols.health.charts import write_norms, write_table
from vitbench_protocols.health.passes import CHANGES, Passed, pass_images, pass_views
from vitbench_protocols.health.statistics import (
    anisotropy,
    decay,
    effective_rank,
    explained,
    lidar,
    rankme,
    read_places,
    spectrum,
)

if TYPE_CHECKING:
    from vitbench_protocols.health import Health

MANY_ARTIFACTS = 0.5  # percent of patches from which registers are thought to help
LEAKING = 50.0  # percent of the variance of places that is read from patches
BLOCKS = {  # columns of the table, and how their curves are called
    "rank": "effective rank of patches",
    "anisotropy": "mean cosine of two patches, %",
    "position": "variance of places read from patches, %",
}


def examine(settings: "Health", backbone: Backbone, context: Context) -> Outcome:
    """Pass the images once, and measure."""
    if cut := cut_note(settings.crop, backbone.info.stage(0).stride):
        context.note(cut)
    whole = context.dataset("val")
    dataset = whole.subset(_spread(len(whole), settings.images))
    passed = pass_images(settings, backbone, context, dataset)
    viewed = dataset.subset(_spread(len(dataset), settings.view_images))
    views = pass_views(settings, backbone, context, viewed)
    if passed is None or views is None:
        return Outcome(())
    order = permutation(context.seed, "halves", length=len(dataset))
    blocks = _by_block(passed, order)
    threshold = settings.artifact_norm * float(passed.norms.median())
    items = _items(passed, threshold)
    eigenvalues = spectrum(passed.pooled)
    values = {
        "rankme": rankme(passed.pooled),
        "alpha": decay(eigenvalues),
        "lidar": lidar(views),
        "patch_rank": blocks["rank"][-1],
        "anisotropy": blocks["anisotropy"][-1],
        "position": blocks["position"][-1],
        **{name: float(values.mean()) for name, values in items.items()},
    }
    _say(settings, passed, values, context)
    scores = tuple(
        Score(metric.name, _defined(values[metric.name]), len(dataset))
        for metric in settings.metrics
    )
    artifacts = _draw(context.output, blocks, eigenvalues, passed, threshold, dataset.ids)
    return Outcome(scores, {"ids": np.array(dataset.ids), **items}, artifacts)


def _spread(count: int, wanted: int) -> list[int]:
    """Return places evenly spread over so many items."""
    chosen = np.linspace(0, count - 1, min(count, wanted)).round().astype(int)
    found: list[int] = np.unique(chosen).tolist()
    return found


def _by_block(passed: Passed, order: NDArray[np.int64]) -> dict[str, list[float]]:
    """Return the statistics of patches for every block; places are read in shuffled halves."""
    found: dict[str, list[float]] = {name: [] for name in BLOCKS}
    for rows, places in zip(passed.rows, passed.places, strict=True):
        flat = rows.flatten(0, 1)
        found["rank"].append(effective_rank(flat))
        found["anisotropy"].append(anisotropy(flat))
        found["position"].append(explained(read_places(rows[order], places[order])))
    return found


def _items(passed: Passed, threshold: float) -> dict[str, NDArray[np.float64]]:
    """Return what is measured on each image, in percent."""
    found = {"artifacts": 100 * (passed.norms > threshold).flatten(1).double().mean(dim=1)}
    for change in CHANGES:
        alike = cosine_similarity(passed.pooled.double(), passed.changed[change].double(), dim=1)
        found[change] = 100 * (1 - alike).clamp(min=0, max=1)
    return {name: values.numpy() for name, values in found.items()}


def _say(settings: "Health", passed: Passed, values: Mapping[str, float], context: Context) -> None:
    """Say in words what the numbers mean."""
    if not passed.raw:
        context.note("norms are those after the final normalization: artifacts may be hidden")
    if values["artifacts"] >= MANY_ARTIFACTS:
        context.note(
            f"{values['artifacts']:.1f} % of patches have more than {settings.artifact_norm:g} "
            "times the median norm: registers would help, and dense tasks suffer"
        )
    if values["position"] >= LEAKING:
        context.note(
            f"positions leak: {values['position']:.0f} % of the variance of a patch's place is "
            "read from its features by a linear map"
        )
    width = passed.pooled.shape[1]
    if values["rankme"] < width / 10 and len(passed.pooled) > width:
        context.note(
            f"collapsed: image-level features use {values['rankme']:.0f} of {width} dimensions"
        )


def _draw(
    folder: Path,
    blocks: Mapping[str, Sequence[float]],
    eigenvalues: NDArray[np.float64],
    passed: Passed,
    threshold: float,
    ids: Sequence[str],
) -> dict[str, Path]:
    """Write curves, the table of blocks and maps of norms."""
    found: dict[str, Any] = {"blocks": folder / "blocks.csv"}
    write_table(found["blocks"], blocks)
    for name, said in BLOCKS.items():
        found[f"{name} by block"] = folder / f"{name}.svg"
        values = np.array(blocks[name])
        write_curve(
            found[f"{name} by block"],
            name,
            ("block", said),
            np.arange(1.0, 1 + len(values)),
            values,
        )
    found["spectrum"] = folder / "spectrum.svg"
    positive = eigenvalues[eigenvalues > eigenvalues.max(initial=0) * 1e-12]
    write_curve(
        found["spectrum"],
        "spectrum",
        ("log10 of the rank", "log10 of the share of the variance"),
        np.log10(np.arange(1, 1 + len(positive))),
        np.log10(positive / positive.sum()),
    )
    found["norms"] = folder / "norms.svg"
    counts, edges = np.histogram(passed.norms.flatten().double().numpy(), bins=60)
    middles = (edges[1:] + edges[:-1]) / 2
    words = ("norm of a patch in the last block", "log10 of the number of patches")
    write_curve(found["norms"], "norms", words, middles, np.log10(1.0 + counts))
    return {**found, **write_norms(folder, passed.norms, threshold, ids)}


def _defined(value: float) -> float | None:
    return value if np.isfinite(value) else None
