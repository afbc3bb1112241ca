"""Depth from frozen patches: one linear map from a patch's features to its mean depth."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from vitbench.api import (
    Backbone,
    Context,
    DataKind,
    Dataset,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    Sample,
    Score,
    setting,
)
from vitbench.kit import Geometry, to_pixels

BATCH = 8
CLOSE = 1.25  # the usual first threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Relief:
    """Ridge regression of each patch's depth on the features of a frozen backbone."""

    name: ClassVar[str] = "relief"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "relief"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("delta1", "δ < 1.25", primary=True),
        MetricSpec("rmse", "RMSE (m)", unit="", higher_is_better=False),
    )
    presets: ClassVar[Presets] = {"small": {"size": 64}}

    size: int = setting(64, help="side of the squared input, px", minimum=16)
    ridge: float = setting(1e-3, help="weight of the squared norm of the linear map", minimum=0.0)

    def run(self, backbone: Backbone, context: Context) -> Outcome:
        """Fit on `train`, score `val`."""
        features, depth = self._patches(backbone, context, context.dataset("train"))
        rows, truth = _with_one(features.flatten(0, 1)), depth.flatten()
        gram = rows.T @ rows + self.ridge * len(rows) * torch.eye(rows.shape[1], dtype=rows.dtype)
        weights = torch.linalg.solve(gram, rows.T @ truth)
        val: Dataset[Sample[Any]] = context.dataset("val")
        features, depth = self._patches(backbone, context, val)
        found = (_with_one(features) @ weights).clamp(min=1e-3)
        close = 100 * (torch.maximum(found / depth, depth / found) < CLOSE).double().mean(1)
        error = (found - depth).square().mean(1).sqrt()
        scores = tuple(
            Score(name, values.mean().item(), len(val))
            for name, values in (("delta1", close), ("rmse", error))
        )
        return Outcome(
            scores, {"ids": np.array(val.ids), "delta1": close.numpy(), "rmse": error.numpy()}
        )

    def _patches(
        self, backbone: Backbone, context: Context, dataset: Dataset[Sample[Any]]
    ) -> tuple[Tensor, Tensor]:
        """Return the features (n, P, D) and the mean depth (n, P) of all patches."""
        geometry = Geometry("squash", self.size)
        features, depths = [], []
        for first in range(0, len(dataset), BATCH):
            samples = [dataset[place] for place in range(first, min(first + BATCH, len(dataset)))]
            pixels = [
                to_pixels(geometry.apply(sample.image, Image.Resampling.BILINEAR))
                for sample in samples
            ]
            with torch.inference_mode(), context.autocast():
                images = context.normalization(torch.stack(pixels).to(context.device))
                (found,) = backbone(images)
            features.append(found.patches.flatten(2).transpose(1, 2).double().cpu())
            for sample in samples:
                truth = torch.from_numpy(sample.target)[None, None].double()
                grid = functional.adaptive_avg_pool2d(truth, found.patches.shape[2:])
                depths.append(grid.flatten())
            context.progress(f"patches of {dataset.info.split}", len(depths), len(dataset))
        return torch.cat(features), torch.stack(depths)


def _with_one(rows: Tensor) -> Tensor:
    """Append a constant to each row, (…, D) -> (…, D + 1)."""
    return torch.cat([rows, torch.ones_like(rows[..., :1])], dim=-1)
