"""A backbone that ends with one of its blocks, and the context that goes with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitbench.api import (
    Backbone,
    BackboneInfo,
    Context,
    Dataset,
    Features,
    FeatureSpec,
    FeatureTable,
    Normalization,
    Output,
    Stage,
)
from vitbench.kit import PatchMask


class UpToBlock(Backbone):
    """A backbone whose last layer is one of its blocks; the weights stay those of the whole.

    Args:
        whole: The backbone.
        block: Number of the block, from 0.
    """

    def __init__(self, whole: Backbone, block: int) -> None:
        super().__init__()
        self.whole, self.info = whole, info_up_to(whole.info, block)

    def forward(
        self,
        images: Tensor,
        layers: Sequence[int] = (-1,),
        *,
        norm: bool = True,
        mask: PatchMask | None = None,
    ) -> tuple[Features, ...]:
        """See `Backbone.forward`."""
        blocks = tuple(self.info.absolute(layer) for layer in layers)
        found: tuple[Features, ...] = self.whole(images, blocks, norm=norm, mask=mask)
        return found

    def check_images(self, height: int, width: int) -> None:
        """See `Backbone.check_images`."""
        self.whole.check_images(height, width)

    def check_raw(self) -> None:
        """See `Backbone.check_raw`."""
        self.whole.check_raw()

    def map_size(self, height: int, width: int, layer: int = -1) -> tuple[int, int]:
        """See `Backbone.map_size`."""
        return self.whole.map_size(height, width, self.info.absolute(layer))

    def keys(self, images: Tensor) -> Tensor:
        """See `Backbone.keys`; they are known of the last block only."""
        if self.info.depth == self.whole.info.depth:
            return self.whole.keys(images)
        return super().keys(images)


def info_up_to(info: BackboneInfo, block: int) -> BackboneInfo:
    """Return the facts of a backbone that ends with a block."""
    stage = info.stage(block)
    stages: list[Stage] = []
    for one in info.stages:
        left = block + 1 - sum(earlier.blocks for earlier in stages)
        if left > 0:
            stages.append(replace(one, blocks=min(one.blocks, left)))
    return replace(
        info,
        depth=block + 1,
        embed_dim=stage.width,
        patch_size=stage.stride,
        native_px=info.image_size,
        grid=(info.image_size[0] // stage.stride, info.image_size[1] // stage.stride),
        stages=tuple(stages),
        pooled_dim=info.pooled_dim if block == info.depth - 1 else None,
    )


@dataclass
class BlockContext:
    """A `Context` of one block: features are read from the pass over all blocks."""

    whole: Context
    info: BackboneInfo  # of the whole backbone
    block: int

    def __post_init__(self) -> None:
        whole = self.whole
        self.precision, self.seed, self.workers = whole.precision, whole.seed, whole.workers
        self.resampling, self.batch_size = whole.resampling, whole.batch_size
        self.normalization: Normalization = whole.normalization
        self.scratch: Path = whole.scratch / f"block{self.block}"
        self.output: Path = whole.scratch / f"block{self.block}" / "output"  # not kept
        self.scratch.mkdir(parents=True, exist_ok=True)

    @property
    def device(self) -> torch.device:
        """See `Context.device`."""
        return self.whole.device

    def dataset(self, split: str) -> Dataset[Any]:
        """See `Context.dataset`."""
        return self.whole.dataset(split)

    def features(self, split: str, spec: FeatureSpec) -> FeatureTable:
        """See `Context.features`; what is asked of this block is extracted for all of them."""
        depth = self.info.depth
        every = tuple(
            Output(layer, output.pooling)
            for output in dict.fromkeys(replace(one, layer=-1) for one in spec.outputs)
            for layer in range(-depth, 0)
        )
        table = self.whole.features(split, FeatureSpec(spec.view, every))
        shift = self.block + 1 - depth  # the last layer of this block, counted in the whole
        arrays = {
            output.key: table.arrays[replace(output, layer=output.layer + shift).key]
            for output in spec.outputs
        }
        return replace(table, arrays=arrays)

    def autocast(self) -> torch.autocast:
        """See `Context.autocast`."""
        return self.whole.autocast()

    def progress(self, task: str, done: int, total: int, unit: str = "") -> None:
        """See `Context.progress`."""
        self.whole.progress(f"block {self.block + 1}: {task}", done, total, unit)

    def note(self, text: str) -> None:
        """Log a remark once, not for every block."""
        if self.block == self.info.depth - 1:
            self.whole.note(text)
