"""Linear classification on frozen features: how much of the classes lies open in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

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
    cut_note,
    errors,
    setting,
    write_class_table,
)
from vitbench_protocols.linear_probe.features import Choice, FeatureSet, feature_sets
from vitbench_protocols.linear_probe.grid import Head
from vitbench_protocols.linear_probe.sources import FreshCrops, Source, StoredFeatures, vectors_of
from vitbench_protocols.linear_probe.training import Data, Schedule, choose, finish

RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
SWEEP = {
    "train_on": "features",
    "features": ("last-1", "last-4", "last-1+mean"),
    "learning_rates": RATES,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProbe:
    """Linear classifiers on frozen features; with several, train's held-out part chooses one.

    `top1` is that of the last epoch. The reference prints the best epoch's, chosen on val:
    `top1_best`.

    Source:
        Caron et al., DINO, ICCV 2021, section 4.1. Reference: facebookresearch/dino,
        eval_linear.py (7c446df), SPEC 7.

    Differs:
        The preset `dino` follows it; crops and order are drawn by address, so they do not depend
        on the number of processes. The preset `sweep` is ours: fixed centre crops, a grid of
        learning rates and features, none of it chosen on val.
    """

    name: ClassVar[str] = "linear-probe"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    splits: ClassVar[tuple[str, ...]] = ("train", "val")
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("top1", "top-1", primary=True),
        MetricSpec("top5", "top-5"),
        MetricSpec("top1_best", "top-1 (best epoch)"),
        MetricSpec("top5_best", "top-5 (best epoch)"),
    )
    presets: ClassVar[Presets] = {"dino": {}, "sweep": SWEEP}

    train_on: Literal["crops", "features"] = setting(
        "crops",
        help="new random crops in each epoch, or features of centre crops, passed once",
        choices=("crops", "features"),
    )
    features: tuple[Choice, ...] = setting(
        ("by-size",),
        help="what heads read: last-4 or last-1 blocks, last-1+mean patch; by-size: as DINO's",
    )
    learning_rates: tuple[float, ...] = setting(
        (0.001,), help="for a batch of 256; each is tried on each of the features", minimum=1e-12
    )
    epochs: int = setting(100, help="cosine to 0 over these", minimum=1)
    batch_size: int = setting(1024, help="over all processes", minimum=1)
    momentum: float = setting(0.9, help="of SGD", minimum=0, maximum=1)
    held_out: float = setting(
        0.1, help="share of train that chooses among several heads", minimum=0.01, maximum=0.5
    )
    crop_scale: tuple[float, float] = setting(
        (0.08, 1.0), help="area of a random crop, share of the image", minimum=0, maximum=1
    )
    resize: int = setting(256, help="short side before the centre crop, px", minimum=8)
    crop: int = setting(224, help="side of every crop, px", minimum=8)

    @property
    def image_size(self) -> tuple[int, int]:
        """Size (H, W) of every image that passes, in pixels."""
        return self.crop, self.crop

    def run(self, backbone: Backbone, context: Context) -> Outcome:
        """Choose a head where there are several, train it on all of train, score it on val."""
        if cut := cut_note(self.crop, backbone.info.stage(0).stride):
            context.note(cut)
        sets = feature_sets(self.features, backbone.info)
        heads = [Head(features, rate) for features in sets for rate in self.learning_rates]
        if not heads:
            raise errors.SettingError(["--features and --learning-rates must name one each"])
        data = self._data(backbone, context, sets)
        schedule = Schedule(epochs=self.epochs, batch_size=self.batch_size, momentum=self.momentum)
        head = heads[0]
        if len(heads) > 1:
            head = choose(heads, data, schedule, share=self.held_out)
        context.note(str(head))
        scored = finish(head, data, schedule)
        items: dict[str, NDArray[np.float64]] = {}
        for ending, places in (("", scored.last), ("_best", scored.best)):
            items[f"top1{ending}"] = 100.0 * (places < 1).double().numpy()
            items[f"top5{ending}"] = 100.0 * (places < 5).double().numpy()
        scores = tuple(
            Score(metric.name, float(items[metric.name].mean()), len(scored.last))
            for metric in self.metrics
        )
        val = context.dataset("val")
        tables = write_class_table(val, items, context)
        return Outcome(scores, {"ids": np.array(val.ids), **items}, tables)

    def _data(self, backbone: Backbone, context: Context, sets: Sequence[FeatureSet]) -> Data:
        backbone.check_images(self.crop, self.crop)
        outputs = tuple(dict.fromkeys(output for found in sets for output in found.outputs))
        spec = FeatureSpec(view=ImageView(self.resize, self.crop), outputs=outputs)
        source: Source
        if self.train_on == "crops":
            source = FreshCrops(backbone, context, outputs, self.crop, self.crop_scale)
        else:
            vectors = vectors_of(context.features("train", spec), outputs)
            source = StoredFeatures(vectors, context.device)
        widths = {output: output.width(backbone.info) for output in outputs}
        return Data(context, spec, source, widths)
