"""From JPEG files to trained weights: images a second, and which part bounds them.

    python benchmarks/train_pipeline.py --data DIR [--peer-dino DIR] [--device cuda] [--workers 16]
    python benchmarks/train_pipeline.py --data DIR --crops 64 32 --decode scaled

Each part of ours is measured alone, then all together; on a CPU by CPU time. Ours decodes in
threads and augments whole batches on the device; the official pipeline decodes and augments with
PIL in as many worker processes. Both make the same crops for the same ViT and step.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, TypeVar

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

WARM_UP = 2  # steps
T = TypeVar("T")


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


def ours(given: argparse.Namespace, bench: Bench) -> Iterator[str]:
    """Measure our pipeline: each part alone, then all of it; say which part bounds it."""
    recipe = recipe_of("dino", bench)
    if given.crops:
        large, small = given.crops
        crops = replace(recipe.crops, global_size=large, local_size=small)
        recipe = replace(recipe, crops=crops)
    device = bench.shape.device
    loader = TrainingLoader(
        find_images(given.data),
        recipe.crops,
        LoaderConfig(workers=given.workers, decode=given.decode),
        batch_size=bench.batch,
        seed=0,
        device=device,
    )
    computing = ComputeConfig(precision=given.precision)
    trainer = Trainer(recipe, steps_per_epoch=loader.steps, device=device, computing=computing)
    parts = alone(bench, loader, trainer, given.steps)
    for part, seconds in parts.items():
        yield f"{part:13} {bench.batch / seconds:7.1f} images/s alone"
    batches = chain.from_iterable(loader.epoch(epoch) for epoch in count())
    line, whole = timed(
        bench, lambda: measured("ours", batches, trainer.train_step, bench, given.steps)
    )
    slowest = max(parts, key=lambda part: parts[part])
    share = 100 * parts[slowest] * (given.steps + WARM_UP) / whole
    yield line
    yield f"bound by the {slowest}: alone it takes {share:.0f} % of the time of all together"


def alone(bench: Bench, loader: TrainingLoader, trainer: Trainer, steps: int) -> dict[str, float]:
    """Return the seconds that a batch takes in each part while the others rest."""
    first = max(0, loader.steps - steps)  # the last ones: no others are decoded ahead
    next(loader.decoded(0))  # warms up
    decoded, decoding = timed(bench, lambda: list(loader.decoded(0, first_step=first)))
    loader.augmented(0, *decoded[0])  # warms up
    batches, augmenting = timed(bench, lambda: [loader.augmented(0, *part) for part in decoded])
    trainer.train_step(batches[0])
    _, training = timed(bench, lambda: [trainer.train_step(batch) for batch in batches])
    seconds = {"decoding": decoding, "augmentation": augmenting, "step": training}
    return {part: value / len(decoded) for part, value in seconds.items()}


def timed(bench: Bench, work: Callable[[], T]) -> tuple[T, float]:
    """Return what some work gives, and its seconds: on a CPU, whose cores all parts share, of CPU.

    Decoding waits for no other part on a CUDA device: there they are seconds of the clock.
    """
    bench.wait()
    start = bench.now()
    made = work()
    bench.wait()
    return made, bench.now() - start


def measured(name: str, batches: Iterator[Any], step: Any, bench: Bench, steps: int) -> str:
    """Run some steps after two that warm up, and say how it went by the clock."""
    clock, seconds, waited = Clock(), 0.0, 0.0
    for number, batch in enumerate(islice(clock.waiting(batches), steps + WARM_UP)):
        step(batch)
        if number + 1 == WARM_UP:
            bench.wait()
            clock.read()
    bench.wait()
    seconds, waited, made = clock.read()
    rate, share = bench.batch * made / seconds, 100 * waited / seconds
    return f"{name:13} {rate:7.1f} images/s, {share:.0f} % of the time waiting"


def theirs(given: argparse.Namespace, bench: Bench) -> str:
    """Measure the official pipeline: its augmentation, its step, PyTorch's loader."""
    official = official_step(given.peer_dino, "dino", bench.shape)
    with checkout(given.peer_dino) as load:
        augment = load("main_dino").DataAugmentationDINO(
            (0.4, 1.0), (0.05, 0.4), bench.shape.local_crops
        )
    images = find_images(given.data)
    files = [images.root / name for name in images.ids]
    loader = torch.utils.data.DataLoader(
        Files(files, augment),
        batch_size=bench.batch,
        shuffle=True,
        drop_last=True,
        num_workers=given.workers,
        pin_memory=bench.shape.device.type == "cuda",
    )

    def step(crops: list[Tensor]) -> None:
        moved = [crop.to(bench.shape.device, non_blocking=True) for crop in crops]
        official.step(moved, partial(bench.autocast, given.precision))

    batches = chain.from_iterable(iter(loader) for _ in count())
    return measured("official", batches, step, bench, given.steps)


def main() -> None:
    """Print the parts of ours, then one line a side."""
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
    parser.add_argument("--decode", default="exact")
    parser.add_argument("--crops", type=int, nargs=2, help="sides of global and local crops, ours")
    given = parser.parse_args()
    shape = Shape(given.arch, given.prototypes, 4096, given.local_crops, torch.device(given.device))
    bench = Bench(shape, given.batch, 1, (given.precision,))
    start = time.perf_counter()
    for line in ours(given, bench):
        print(line, flush=True)
    if given.peer_dino:
        print(theirs(given, bench), flush=True)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
