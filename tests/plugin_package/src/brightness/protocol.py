"""How many images have a brighter class token than the mean image? A protocol of no use."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from vitbench.api import (
    Backbone,
    Context,
    DataKind,
    FeatureSpec,
    ImageView,
    MetricSpec,
    Need,
    Outcome,
    Presets,
    Score,
    setting,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brightness:
    """Share of images whose feature norm lies above a multiple of the mean norm."""

    name: ClassVar[str] = "brightness"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (MetricSpec("bright", "bright", primary=True),)
    presets: ClassVar[Presets] = {"half": {"factor": 0.5}}

    factor: float = setting(1.0, help="of the mean norm", minimum=0.0)

    def run(self, backbone: Backbone, context: Context) -> Outcome:
        """Compare norms."""
        table = context.features("val", FeatureSpec(view=ImageView(64, 64)))
        norms = table.vectors().norm(dim=1).double().numpy()
        bright = 100.0 * (norms > self.factor * norms.mean())
        score = Score("bright", float(bright.mean()), len(bright))
        return Outcome((score,), {"ids": np.array(table.ids), "bright": bright})
