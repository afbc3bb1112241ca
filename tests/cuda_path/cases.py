"""What runs on the fake device: each case is one step or one pass, as the program makes it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from tests.cuda_path import evaluation
from tests.cuda_path.counting import Counts
from tests.cuda_path.device import real
from vitbench.data.decode import Decoded
from vitbench.data.multicrop import MultiCrop, draw_crops
from vitbench.data.nvjpeg import Waiting, decode_batch
from vitbench.data.packed_augment import augment_packed
from vitbench.data.training_loader import CropBatch
from vitbench.training.options import ComputeConfig
from vitbench.training.recipe import Recipe
from vitbench.training.recipes import recipes
from vitbench.training.trainer import Trainer

CUDA = torch.device("cuda")
VIT, SWIN = "vit_small_patch16_224", "swin_tiny_patch4_window7_224"
PUBLISHED = 128  # images of a step on one device: what the published runs' batches come to


@dataclass(frozen=True, slots=True)
class Measured:
    """What one case had a device do."""

    syncs: int  # waits of the host for the device
    copies: int  # to the device, each a wait for its stream
    kernels: int
    gib: float  # most memory at once

    @classmethod
    def of(cls, counts: Counts) -> "Measured":
        """Read the counters."""
        syncs, copies = sum(counts.syncs.values()), sum(counts.copies.values())
        return cls(syncs, copies, counts.kernels, round(counts.peak / 2**30, 2))


Case = Callable[[Counts], None]  # clears the counts when all is ready


def train_step(counts: Counts, *, recipe: str, arch: str) -> None:
    """Make a step on the published batch: bf16, drop path, AdamW with its moments."""
    chosen = replace(recipes.get(recipe)(), arch=arch, batch_size=PUBLISHED)
    with patch.object(Recipe, "build_backbone", real(Recipe.build_backbone)):
        computing = ComputeConfig(compile="off")  # kernels are those of the steps as written
        trainer = Trainer(chosen, steps_per_epoch=10, device=CUDA, computing=computing)
    trainer.train_step(crops(chosen.crops.sizes, 2))  # makes the moments and the kept tables
    batch = crops(chosen.crops.sizes, PUBLISHED)
    counts.clear()
    found = trainer.train_step(batch)
    assert {value.device.type for value in found.values()} == {"cuda"}


def crops(sizes: tuple[int, ...], images: int) -> CropBatch:
    """Return a batch of crops on the device."""
    return CropBatch(
        crops=[torch.empty(images, 3, size, size, device=CUDA) for size in sizes],
        ids=tuple(map(str, range(images))),
        indices=np.arange(images),
        sizes=np.full((images, 2), 400),
        boxes=np.zeros((images, len(sizes), 4), np.int64),
        flips=np.zeros((images, len(sizes)), bool),
    )


def augment(counts: Counts, *, on_device: bool = False) -> None:
    """Make the crops of a batch of photographs whose sizes are as mixed as ImageNet's.

    Args:
        counts: What the device does.
        on_device: The photographs are decoded there.
    """
    random = np.random.default_rng(0)
    usual = random.choice([(375, 500), (333, 500), (500, 375), (500, 333)], PUBLISHED)
    other = np.exp(random.normal(np.log(500), 0.5, (PUBLISHED, 2))).astype(int)
    sizes = np.where(random.random((PUBLISHED, 1)) < 0.68, usual, other)
    crops = MultiCrop()
    draws = draw_crops(crops, sizes, seed=0, epoch=0, indices=np.arange(PUBLISHED))
    waiting: list[Waiting | Decoded] = [
        Waiting("x.jpg", b" ", (height, width)) for height, width in sizes.tolist()
    ]
    images: Any = [np.zeros((*size, 3), np.uint8) for size in sizes]
    counts.clear()
    if on_device:
        with patch("torchvision.io.decode_jpeg", partial(decoded_on_device, sizes.tolist())):
            images = decode_batch(waiting, CUDA)
    made = augment_packed(images, crops, draws, CUDA)
    assert {crop.device.type for crop in made} == {"cuda"}


def decoded_on_device(
    sizes: list[tuple[int, int]], _: Any, *, device: torch.device, **how: Any
) -> list[torch.Tensor]:
    """Stand in for nvJPEG, which fake tensors do not know."""
    return [torch.empty(3, *size, dtype=torch.uint8, device=device) for size in sizes]


RECIPES = ("dino", "selfpatch", "esvit", "moby", "moby-selfpatch")
PASSES: dict[str, Case] = {
    **evaluation.PASSES,
    "augment": augment,
    "augment nvjpeg": partial(augment, on_device=True),
    **{
        f"train {recipe} {label}": partial(train_step, recipe=recipe, arch=arch)
        for label, arch in (("vit-s/16", VIT), ("swin-t", SWIN))
        for recipe in RECIPES
    },
}
