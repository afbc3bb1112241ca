"""A recipe that trains in milliseconds, and data for it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils._pytree import tree_map

from vitbench import distributed
from vitbench.data.multicrop import MultiCrop
from vitbench.data.training_loader import CropBatch
from vitbench.keyed_random import keyed_uniform
from vitbench.models.constants import SWIN_SIZES, VIT_SIZES
from vitbench.training import recipes
from vitbench.training.identity import identity_of
from vitbench.training.loop import Loop
from vitbench.training.options import ComputeConfig
from vitbench.training.presets import with_terms
from vitbench.training.pretraining import Pretraining
from vitbench.training.recipe import Recipe
from vitbench.training.schedules import Cosine
from vitbench.training.sharding import put_together
from vitbench.training.trainer import Trainer

SWIN = "swin_nano_patch4_window4_24"  # grids of 6, padded and shifted, and of 3

CROPS = MultiCrop(global_size=24, local_size=24, local_crops=1)
IMAGES = 16
EXACT = ComputeConfig(precision="fp64")


@contextmanager
def nano_networks() -> Iterator[None]:
    """Let networks of the size "nano" be named as long as the block; a process starts its own."""
    with (
        patch.dict(VIT_SIZES, nano=(16, 2, 2)),
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
    return tiny_recipe(recipe, arch="vit_nano_patch8_24" if name == method else SWIN)


def tiny_recipe(recipe: Recipe, *, arch: str = "vit_nano_patch8_24") -> Recipe:
    """Return a recipe made small, in steps that every optimizer can make."""
    widths = {"prototypes": 12, "hidden_dim": 16, "bottleneck_dim": 8, "key_dim": 8, "queue": 8}
    rate: Any = Cosine(0.01, 1e-4, 1)
    return replace(
        with_terms(recipe, **widths),
        arch=arch,
        crops=replace(recipe.crops, global_size=24, local_size=24, local_crops=1),
        optimizer=replace(recipe.optimizer, learning_rate=rate, batch_unit=256),
        drop_path=0.5,
        epochs=3,
        batch_size=4,
    )


def trained(
    recipe: Recipe, steps: int, *, rank: int = 0, processes: int = 1, computing: ComputeConfig
) -> tuple[list[dict[str, float]], dict[str, Any]]:
    """Train a recipe on noise; return the values of each step and the state at the end."""
    loader = NoiseLoader(recipe.batch_size, recipe.crops, rank=rank, processes=processes)
    trainer = Trainer(
        recipe, steps_per_epoch=loader.steps, device=torch.device("cpu"), computing=computing
    )
    batches = (batch for epoch in range(recipe.epochs) for batch in loader.epoch(epoch))
    values = []
    for batch in islice(batches, steps):
        found = trainer.train_step(batch)
        values.append({key: value.item() for key, value in found.items()})
    return values, tree_map(put_together, trainer.state_dict())


def start(recipe: Recipe, folder: Path, **options: Any) -> Any:
    """Return the loop of a tiny pretraining on noise, whose log has a line a step."""
    rank, processes = distributed.rank(), distributed.world_size()
    loader = NoiseLoader(recipe.batch_size, recipe.crops, rank=rank, processes=processes)
    computing = options.pop("computing", ComputeConfig())
    trainer = Trainer(
        recipe, steps_per_epoch=loader.steps, device=torch.device("cpu"), computing=computing
    )
    allowed = options.pop("allow_changes", False)
    identity = identity_of(recipe, trainer.computing, data={})
    task = Pretraining(trainer, loader, folder, identity=identity, allow_changes=allowed)
    return Loop(task, output=folder, scratch=folder, log_every=1, **options)


def several_learn_as_one(
    processes: int,
    recipes: Mapping[str, Recipe],
    steps: int,
    folder: Path,
    computing: ComputeConfig = EXACT,
) -> None:
    """Train recipes as several processes and as one; fail where the results differ."""
    context = torch.multiprocessing.get_context("spawn")
    started = [
        context.Process(
            target=_one_of, args=(rank, processes, recipes, steps, str(folder), computing)
        )
        for rank in range(processes)
    ]
    for process in started:
        process.start()
    with nano_networks():
        alone = {name: trained(recipe, steps, computing=EXACT) for name, recipe in recipes.items()}
    for process in started:
        process.join(600)
        assert process.exitcode == 0
    for name, (expected, state) in alone.items():
        found = [
            torch.load(folder / f"{name}{rank}.pt", weights_only=True) for rank in range(processes)
        ]
        for _, end in found:
            torch.testing.assert_close(end, state, atol=1e-6, rtol=0)
        for row, *parts in zip(expected, *(values for values, _ in found), strict=True):
            mean = {key: sum(part[key] for part in parts) / processes for key in row}
            torch.testing.assert_close(mean, row, atol=1e-6, rtol=0)


def _one_of(
    rank: int,
    processes: int,
    recipes: Mapping[str, Recipe],
    steps: int,
    folder: str,
    computing: ComputeConfig,
) -> None:
    """Train as one of several processes and leave the results in a folder."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meet"
    dist.init_process_group("gloo", init_method=meeting, rank=rank, world_size=processes)
    with nano_networks():
        for name, recipe in recipes.items():
            found = trained(recipe, steps, rank=rank, processes=processes, computing=computing)
            torch.save(found, f"{folder}/{name}{rank}.pt")
    dist.destroy_process_group()
