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
    send,
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

    vectors: Vectors  # (n, D) each, see `kept_on`
    device: torch.device

    def batches(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[Vectors]:
        """See `Source.batches`."""
        for rows in batches:
            yield {
                output: send(values[send(rows, values.device)], self.device)
                for output, values in self.vectors.items()
            }


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
        crops = RandomCrops(
            context.dataset("train"),
            self.size,
            self.scale,
            context.seed,
            epoch,
            resampling=context.resampling,
        )
        size = CHUNK.get(context.device.type, 64)
        mine = [distributed.share(torch.split(rows, size)) for rows in batches]
        loaded = load_batches(
            crops,
            [chunk.tolist() for chunks in mine for chunk in chunks],
            to_pixels,
            workers=context.workers,
        )
        widths = [output.width(self.backbone.info) for output in self.outputs]
        for rows, chunks in zip(batches, mine, strict=True):
            most = -(-len(rows) // (size * distributed.world_size()))  # chunks of a process
            own = torch.zeros(most * size, sum(widths), device=context.device)
            for at, _ in enumerate(chunks):
                found = self._vectors(next(loaded)[1])
                own[at * size : at * size + len(found)] = found
            whole = distributed.gather_rows(own).view(-1, most, size, sum(widths))
            # chunk c is process c % world's number c // world; only the last one is not full
            ordered = whole.transpose(0, 1).flatten(0, 2)[: len(rows)]
            yield dict(zip(self.outputs, torch.split(ordered, widths, dim=1), strict=True))

    def _vectors(self, pixels: Tensor) -> Tensor:
        """Pass crops, uint8 (B, 3, size, size), through the backbone: (B, sum of the widths)."""
        layers = tuple(dict.fromkeys(output.layer for output in self.outputs))
        images = self.context.normalization(send(pixels, self.context.device))
        with torch.inference_mode(), self.context.autocast():
            found = dict(zip(layers, self.backbone(images, layers), strict=True))
            return torch.cat([one.of(found[one.layer]).float() for one in self.outputs], dim=1)


def vectors_of(
    table: FeatureTable, outputs: Sequence[Output], rows: Tensor | None = None
) -> Vectors:
    """Read outputs of all or some rows of a table, (n, D) each, on the CPU."""
    if rows is None:
        return {output: table.vectors(output) for output in outputs}
    return {output: torch.from_numpy(table.arrays[output.key][rows.numpy()]) for output in outputs}


def kept_on(device: torch.device, vectors: Vectors) -> Vectors:
    """Return vectors on a GPU where they fill half of its free memory at most, else as they are."""
    size = sum(values.nbytes for values in vectors.values())
    if device.type != "cuda" or size > torch.cuda.mem_get_info(device)[0] / 2:
        return vectors
    return {output: values.to(device) for output, values in vectors.items()}
