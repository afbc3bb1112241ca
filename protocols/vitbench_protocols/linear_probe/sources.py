"""Batches for linear heads: stored features, or features of fresh random crops."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vitbench.api import (
    Backbone,
    Context,
    FeatureTable,
    Output,
)
from vitbench.kit import (
    RandomCrops,
    distributed,
    load_batches,
    to_pixels,
)

Vectors = Mapping[Output, Tensor]  # (B, D) each
CHUNK = {"cpu": 32, "cuda": 256}  # images in a forward pass, whatever the number of processes


class Source(Protocol):
    """Gives the vectors of rows of the train split; every process gets all of a batch."""

    def batches(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[Vectors]:
        """Yield the vectors of each batch of rows, in order, on the context's device."""


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """The same features in each epoch."""

    vectors: Vectors  # (n, D) each, on the CPU
    device: torch.device

    def batches(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[Vectors]:
        """See `Source.batches`."""
        for rows in batches:
            yield {output: values[rows].to(self.device) for output, values in self.vectors.items()}


@dataclass(frozen=True, slots=True)
class FreshCrops:
    """The backbone's view of new random crops in each epoch."""

    backbone: Backbone
    context: Context
    outputs: tuple[Output, ...]
    size: int  # px
    scale: tuple[float, float]

    def batches(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[Vectors]:
        """See `Source.batches`; processes share the chunks of every batch."""
        context = self.context
        crops = RandomCrops(context.dataset("train"), self.size, self.scale, context.seed, epoch)
        size = CHUNK.get(context.device.type, 64)
        mine = [distributed.share(torch.split(rows, size)) for rows in batches]
        loaded = load_batches(
            crops,
            [chunk.tolist() for chunks in mine for chunk in chunks],
            to_pixels,
            workers=context.workers,
        )
        for chunks in mine:
            found = [self._vectors(next(loaded)[1]) for _ in chunks]
            parts = distributed.gather(found)  # of process p: chunks p, p + world size, …
            count, world = sum(map(len, parts)), len(parts)
            ordered = [parts[place % world][place // world] for place in range(count)]
            yield {
                output: torch.cat([part[number] for part in ordered]).to(context.device)
                for number, output in enumerate(self.outputs)
            }

    def _vectors(self, pixels: Tensor) -> list[Tensor]:
        """Pass crops, uint8 (B, 3, size, size), through the backbone."""
        layers = tuple(dict.fromkeys(output.layer for output in self.outputs))
        images = self.context.normalization(pixels.to(self.context.device, non_blocking=True))
        with torch.inference_mode(), self.context.autocast():
            found = dict(zip(layers, self.backbone(images, layers), strict=True))
        return [output.of(found[output.layer]).float().cpu() for output in self.outputs]


def vectors_of(
    table: FeatureTable, outputs: Sequence[Output], rows: Tensor | None = None
) -> Vectors:
    """Read outputs of all or some rows of a table, (n, D) each, on the CPU."""
    if rows is None:
        return {output: table.vectors(output) for output in outputs}
    return {output: torch.from_numpy(table.arrays[output.key][rows.numpy()]) for output in outputs}
