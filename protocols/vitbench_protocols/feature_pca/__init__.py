"""Pictures of frozen features: their principal components, their attention, and their spread."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Score, setting
from vitbench.kit import cut_note, distributed

if TYPE_CHECKING:
    from vitbench.api import Backbone


EVEN = 99.0  # entropy from which attention shows nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturePca:
    """Pictures of a few images' patch features (PCA colors, attention), and how they spread.

    The numbers describe; they rank no backbone above another. The principal components are
    computed over the patches of all drawn images, so equal colors mean equal features in all
    pictures. The attention is that of the class token in the last block, averaged over heads;
    without a class token, it is averaged over all patches.
    """

    name: ClassVar[str] = "feature-pca"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"
    default_data: ClassVar[str] = "imagenet"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    follows_resampling: ClassVar[bool] = True
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec(
            "effective_rank", "effective rank", unit="", higher_is_better=None, primary=True
        ),
        MetricSpec("three_components", "in 3 components", higher_is_better=None),
        MetricSpec("attention_entropy", "attention entropy", higher_is_better=None),
    )
    presets: ClassVar[Mapping[str, Mapping[str, object]]] = {}

    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval feature-pca dino-vits16 --data imagenet",
        "vitbench eval feature-pca ckpt.pth --arch vit_small_patch16_224 --images 4"
        " --data synthetic",
    )

    images: int = setting(
        8, help="number of images to draw, evenly spread over the split", minimum=1
    )
    resize: int = setting(
        256, help="short side of an image before the center crop, in pixels", minimum=8
    )
    crop: int = setting(224, help="side of the center crop, in pixels", minimum=8)

    def check(self, backbone: "Backbone") -> None:
        """Refuse a backbone that can't take such crops."""
        backbone.check_images(self.crop, self.crop)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Draw the images and measure their features."""
        from vitbench_protocols.feature_pca.pictures import (  # imports torch
            components,
            entropy,
            lit,
            look,
            spread,
            write,
        )

        if cut := cut_note(self.crop, backbone.info.stage(0).stride):
            context.note(cut)
        dataset = context.dataset("val")
        chosen = np.unique(np.linspace(0, len(dataset) - 1, self.images).round().astype(int))
        pixels, patches, attention = look(self, backbone, chosen.tolist(), context)
        rank, explained = spread(patches.flatten(2).transpose(1, 2))
        measured = {"effective_rank": rank, "three_components": explained}
        pictures = {"image": pixels, "pca": components(patches)}
        if attention is not None:
            measured["attention_entropy"] = entropy(attention.flatten(1))
            pictures["attention"] = lit(pixels, attention)
        values = {name: found.double().numpy() for name, found in measured.items()}
        scores = tuple(
            Score(metric.name, float(values[metric.name].mean()), len(chosen))
            if metric.name in values
            else Score(metric.name, None, 0)
            for metric in self.metrics
        )
        ids = [dataset.ids[index] for index in chosen]
        even = values.get("attention_entropy", np.zeros(len(ids))) >= EVEN
        if even.any():
            context.note(f"attention of {even.sum()} images falls on all patches alike: not drawn")
        dull = {("attention", int(place)) for place in np.flatnonzero(even)}
        artifacts = write(pictures, ids, context.output, dull) if distributed.is_main() else {}
        return Outcome(scores, {"ids": np.array(ids), **values}, artifacts)
