"""How many neighbours of a patch are positives, by the ground truth alone."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vitbench.api import (
    Context,
    DataKind,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    Reading,
    Row,
    Score,
    count_grid,
    distributed,
    near,
    setting,
)
from vitbench.api import errors as wrong
from vitbench_protocols.adjacency.pictures import draw_histogram, draw_overlays
from vitbench_protocols.adjacency.tables import group_tables, write_table
from vitbench_protocols.adjacency.truth import (
    LabelledDataset,
    Truth,
    image_means,
    open_labels,
    read_truth,
)

PUBLISHED = (4.3, 1.2)  # mean and spread of the supplementary, to be met within
TOLERANCE = 0.05

POSITIVES = (
    MetricSpec("positives_mean", "adjacent positives", "count", None, primary=True),
    MetricSpec("positives_std", "their std over images", "count", None),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjacency(Reading):
    """Count the adjacent positives of each patch in the ground truth; no checkpoint is needed.

    Source:
        Yun et al., SelfPatch, CVPR 2022, supplementary, section G: 4.3 ± 1.2 on COCO's validation
        images. The text leaves the settings open; the defaults are its best-supported reading.
    """

    name: ClassVar[str] = "adjacency"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "instances"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset()
    metrics: ClassVar[tuple[MetricSpec, ...]] = POSITIVES
    presets: ClassVar[Presets] = {"selfpatch": {}}

    grid: bool = setting(False, help="count under every other reading too, in one pass")
    overlays: int = setting(
        8, help="pictures of images with their counts", minimum=0, identity=False
    )

    def run(self, backbone: object, context: Context) -> Outcome:
        """Count, and draw what was counted."""
        if backbone is not None:
            raise wrong.MissingAbility(
                f"{self.name} counts the ground truth alone and takes no checkpoint.",
                hint=f"vitbench eval {self.name.replace('adjacency', 'adjacency-features')} "
                "CHECKPOINT scores one against it",
            )
        dataset = open_labels(context)
        truth = read_truth(dataset, self, context)
        counts = truth.counts
        means = image_means(counts, truth.counted)
        known = int(np.count_nonzero(~np.isnan(means)))
        if not known:
            raise wrong.DatasetError(
                f"no patch of {dataset.info.name!r} is counted.",
                expected="patches of the kind --patches asks for",
                found=f"none that is {self.patches!r} in {len(means)} images",
                hint="--patches all",
            )
        mean, std = float(np.nanmean(means)), float(np.nanstd(means))
        context.note(
            f"{mean:.2f} ± {std:.2f} (std over {known} images), standard error of the mean "
            f"{std / max(known - 1, 1) ** 0.5:.2f}"
        )
        artifacts: dict[str, Path] = {}
        if distributed.is_main():
            artifacts = self._artifacts(truth, means, dataset, context)
            if self.grid:
                artifacts["grid"] = self._grid(dataset, context)
        scores = (Score("positives_mean", mean, known), Score("positives_std", std, known))
        return Outcome(scores, {"ids": truth.ids, "positives_mean": means}, artifacts)

    def _artifacts(
        self, truth: Truth, means: NDArray[np.float64], dataset: LabelledDataset, context: Context
    ) -> dict[str, Path]:
        counts = truth.counts
        drawn = draw_histogram(
            {"ground truth": (counts[truth.counted], means)}, context.output / "counts.svg"
        )
        tables = group_tables(truth, dataset, context.output, {"positives": counts})
        overlays = draw_overlays(self, self.overlays, truth, means, dataset, context)
        return {"histogram": drawn, **tables, **overlays}

    def _grid(self, dataset: LabelledDataset, context: Context) -> Path:
        """Count every reading, tell which of them meet the published figures, write all."""
        rows = count_grid(
            dataset,
            self,
            workers=context.workers,
            progress=lambda done, total: context.progress("all readings", done, total),
        )
        context.note(self._told(rows))
        names = [field.name for field in fields(Reading)]
        values = ("images", "image_mean", "image_std", "patch_mean", "patch_std")
        lines = [
            [*(getattr(row.reading, name) for name in names), *(getattr(row, v) for v in values)]
            for row in rows
        ]
        return write_table(context.output / "grid.csv", [*names, *values], lines)

    def _told(self, rows: Sequence[Row]) -> str:
        found = near(rows, *PUBLISHED, tolerance=TOLERANCE)
        own = {field.name: getattr(self, field.name) for field in fields(Reading)}
        lines = [
            f"{len(found)} of {len(rows)} readings lie within {PUBLISHED[0]} ± {TOLERANCE} and "
            f"{PUBLISHED[1]} ± {TOLERANCE}; one picked from so many after the fact proves nothing:"
        ]
        for row in found:
            changed = [
                f"{name}={getattr(row.reading, name)}"
                for name, value in own.items()
                if getattr(row.reading, name) != value
            ]
            lines.append(
                f"  {row.image_mean:.2f} ± {row.image_std:.2f} over images, "
                f"{row.patch_mean:.2f} ± {row.patch_std:.2f} over patches: "
                + (", ".join(changed) or "the settings of this run")
            )
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanopticAdjacency(Adjacency):
    """Count the adjacent positives of each patch in panoptic ground truth: things and stuff."""

    name: ClassVar[str] = "adjacency-panoptic"
    data: ClassVar[DataKind] = "panoptic"


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticAdjacency(Adjacency):
    """Count the adjacent positives of each patch in index maps, as ADE20K has them."""

    name: ClassVar[str] = "adjacency-semantic"
    data: ClassVar[DataKind] = "semantic"
