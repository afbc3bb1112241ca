"""From JPEG files to trained weights: images a second and the share of time spent waiting for data.

    python benchmarks/train_pipeline.py --data DIR [--peer-dino DIR] [--device cuda] [--workers 16]

Ours decodes in threads and augments whole batches on the device; the official pipeline decodes and
augments with PIL in as many worker processes. Both make the same crops for the same ViT and step.
"""

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.train import Bench, recipe_of
from benchmarks.train_peers import Shape, checkout, official_step
from vitbench.data.image_files import find_images
from vitbench.data.loading import LoaderConfig
from vitbench.data.training_loader import TrainingLoader
from vitbench.training.loop import Clock
from vitbench.training.options import ComputeConfig
from vitbench.training.trainer import Trainer


class Files(torch.utils.data.Dataset[list[Tensor]]):
    """Image files under the official augmentation."""

    def __init__(self, files: list[Path], augment: Any) -> None:
        self.files, self.augment = files, augment

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> list[Tensor]:
        with Image.open(self.files[index]) as image:
            crops: list[Tensor] = self.augment(image.convert("RGB"))
        return crops


def measured(name: str, batches: Iterator[Any], step: Any, bench: Bench, steps: int) -> str:
    """Run some steps after two that warm up, and say how it went."""
    clock, seconds, waited = Clock(), 0.0, 0.0
    for number, batch in enumerate(islice(clock.waiting(batches), steps + 2)):
        step(batch)
        if number == 1:
            bench.wait()
            clock.read()
    bench.wait()
    seconds, waited, made = clock.read()
    rate = bench.batch * made / seconds
    return f"{name:9} {rate:7.1f} images/s  {100 * waited / seconds:3.0f} % of the time waiting"


def ours(bench: Bench, data: Path, workers: int, steps: int, precision: Any) -> str:
    """Measure our pipeline."""
    recipe = recipe_of("dino", bench)
    loader = TrainingLoader(
        find_images(data),
        recipe.crops,
        LoaderConfig(workers=workers),
        batch_size=bench.batch,
        seed=0,
        device=bench.shape.device,
    )
    computing = ComputeConfig(precision=precision)
    trainer = Trainer(
        recipe, steps_per_epoch=loader.steps, device=bench.shape.device, computing=computing
    )
    batches = chain.from_iterable(loader.epoch(epoch) for epoch in count())
    return measured("ours", batches, trainer.train_step, bench, steps)


def theirs(bench: Bench, data: Path, workers: int, steps: int, precision: str, peer: Path) -> str:
    """Measure the official pipeline: its augmentation, its step, PyTorch's loader."""
    official = official_step(peer, "dino", bench.shape)
    with checkout(peer) as load:
        augment = load("main_dino").DataAugmentationDINO(
            (0.4, 1.0), (0.05, 0.4), bench.shape.local_crops
        )
    images = find_images(data)
    files = [images.root / name for name in images.ids]
    loader = torch.utils.data.DataLoader(
        Files(files, augment),
        batch_size=bench.batch,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        pin_memory=bench.shape.device.type == "cuda",
    )

    def step(crops: list[Tensor]) -> None:
        moved = [crop.to(bench.shape.device, non_blocking=True) for crop in crops]
        official.step(moved, partial(bench.autocast, precision))

    batches = chain.from_iterable(iter(loader) for _ in count())
    return measured("official", batches, step, bench, steps)


def main() -> None:
    """Print one line a side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of images")
    parser.add_argument("--peer-dino", type=Path)
    parser.add_argument("--arch", default="vit_tiny")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--local-crops", type=int, default=8)
    parser.add_argument("--prototypes", type=int, default=4096)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32")
    given = parser.parse_args()
    shape = Shape(given.arch, given.prototypes, 4096, given.local_crops, torch.device(given.device))
    bench = Bench(shape, given.batch, 1, (given.precision,))
    start = time.perf_counter()
    same = (given.data, given.workers, given.steps, given.precision)
    print(ours(bench, *same), flush=True)
    if given.peer_dino:
        print(theirs(bench, *same, given.peer_dino), flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
