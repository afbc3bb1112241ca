"""A recipe that trains in milliseconds, and data for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray

from vitbench.data.multicrop import MultiCrop
from vitbench.data.training_loader import CropBatch
from vitbench.keyed_random import keyed_uniform
from vitbench.models.architecture import SIZES
from vitbench.models.swin_architecture import SIZES as SWIN_SIZES
from vitbench.training import recipes
from vitbench.training.optimizer import AdamW
from vitbench.training.options import ComputeConfig
from vitbench.training.presets import with_terms
from vitbench.training.recipe import Recipe
from vitbench.training.schedules import Cosine
from vitbench.training.trainer import Trainer

SWIN = "swin_nano_patch4_window4_24"  # grids of 6, padded and shifted, and of 3

CROPS = MultiCrop(global_size=24, local_size=24, local_crops=1)
IMAGES = 16


@contextmanager
def nano_networks() -> Iterator[None]:
    """Let networks of the size "nano" be named as long as the block; a process starts its own."""
    with (
        patch.dict(SIZES, nano=(16, 2, 2)),
        patch.dict(SWIN_SIZES, nano=(8, (2, 1), (1, 2))),
    ):
        yield


@dataclass
class NoiseLoader:
    """Crops of noise that depend on the epoch, the image and the crop alone."""

    batch_size: int
    crops: MultiCrop = CROPS
    rank: int = 0
    processes: int = 1
    corrupt: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return IMAGES // self.batch_size

    def epoch(self, epoch: int, *, first_step: int = 0) -> Iterator[CropBatch]:
        share = self.batch_size // self.processes
        for step in range(first_step, self.steps):
            start = step * self.batch_size + self.rank * share
            yield self.batch(epoch, np.arange(start, start + share))

    def batch(self, epoch: int, indices: NDArray[np.int64]) -> CropBatch:
        crops = []
        for number, size in enumerate(self.crops.sizes):
            drawn = keyed_uniform(1, "noise", epoch, indices, number, count=3 * size * size)
            crops.append(torch.tensor(4 * drawn - 2).float().reshape(-1, 3, size, size))
        count = len(crops)
        return CropBatch(
            crops=crops,
            ids=tuple(map(str, indices)),
            indices=indices,
            sizes=np.full((len(indices), 2), 32),
            boxes=np.zeros((len(indices), count, 4), np.int64),
            flips=np.zeros((len(indices), count), bool),
        )


def tiny(name: str) -> Recipe:
    """Return a recipe by name, made small; its backbone has three patches a side.

    A name that ends in `_swin` is the recipe on a Swin.
    """
    method = name.removesuffix("_swin")
    recipe: Recipe = getattr(recipes, method)()
    widths = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "key_dim": 8, "queue": 8}
    return replace(
        with_terms(recipe, **widths),
        arch="vit_nano_patch8_24" if name == method else SWIN,
        crops=replace(recipe.crops, global_size=24, local_size=24, local_crops=1),
        optimizer=AdamW(learning_rate=Cosine(0.01, 1e-4, 1)),
        drop_path=0.5,
        epochs=3,
        batch_size=4,
    )


def trained(
    name: str, steps: int, *, rank: int = 0, processes: int = 1, computing: ComputeConfig
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Train a tiny recipe on noise; return the values of each step and the state at the end."""
    recipe = tiny(name)
    loader = NoiseLoader(recipe.batch_size, rank=rank, processes=processes)
    trainer = Trainer(
        recipe, steps_per_epoch=loader.steps, device=torch.device("cpu"), computing=computing
    )
    batches = (batch for epoch in range(recipe.epochs) for batch in loader.epoch(epoch))
    values = []
    for batch in islice(batches, steps):
        found = trainer.train_step(batch)
        values.append({key: value.item() for key, value in found.items()})
    return values, trainer.state_dict()


def one_of_two(rank: int, names: tuple[str, ...], steps: int, folder: str) -> None:
    """Train as one of two processes and leave the result in a folder."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    computing = ComputeConfig(precision="fp64")
    with nano_networks():
        for name in names:
            found = trained(name, steps, rank=rank, processes=2, computing=computing)
            torch.save(found, f"{folder}/{name}{rank}.pt")
    dist.destroy_process_group()
