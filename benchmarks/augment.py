"""Multi-crop batches (2 x 224 + 8 x 96): ours against the PIL pipeline on the same images.

python benchmarks/augment.py --data DIR [--peer-dino DIR] [--images 64] [--device cuda]

One process, one thread, both sides in turns on the same images with the same drawn parameters; CPU
time, the smallest of each counts. `--peer-dino` adds the official DataAugmentationDINO, which draws
its own. The floor: each crop's pixels read once and its values written once, at the rate that
torch copies large tensors.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as ops

from vitbench.data.batched_augment import (
    augment_batch,
    blur_some,
    crop_major,
    like_with_like,
    pick,
)
from vitbench.data.color import jitter
from vitbench.data.crop_resize import crop_each
from vitbench.data.image_files import find_images
from vitbench.data.multicrop import CropDraws, MultiCrop, draw_crops
from vitbench.data.packed_augment import augment_packed
from vitbench.data.pil_augment import ADJUST, STD, augment_with_pil
from vitbench.data.sizes import Pixels

Sides = dict[str, Callable[[], Any]]


def main() -> None:
    """Measure and print."""
    asked = arguments()
    torch.set_num_threads(1)
    files = find_images(asked.data)
    images = [files.read(index) for index in range(min(asked.images, len(files)))]
    crops = MultiCrop()
    sizes = np.array([image.shape[:2] for image in images])
    draws = draw_crops(crops, sizes, seed=0, epoch=0, indices=np.arange(len(images)))
    print(f"{len(images)} images, {sizes.mean(0)[1]:.0f} x {sizes.mean(0)[0]:.0f} on average")
    whole: Sides = {
        "PIL, same parameters": lambda: augment_with_pil(images, crops, draws),
        "ours": lambda: augment_batch(images, crops, draws),
        "ours, the draws alone": lambda: draw_crops(
            crops, sizes, seed=0, epoch=0, indices=np.arange(len(images))
        ),
    }
    if asked.peer_dino:
        official = load_dino(asked.peer_dino).DataAugmentationDINO((0.4, 1.0), (0.05, 0.4), 8)
        opened = [Image.fromarray(image) for image in images]
        whole["official DINO"] = lambda: [official(image) for image in opened]
    show("all crops of an image", whole, len(images), asked.turns)
    print(f"  floor {floor(draws, crops) * 1e3 / len(images):.2f} ms")
    print(f"  ours - PIL: {gap(images, crops, draws):.2f} gray levels on average")
    for views, size in ((slice(0, 2), 224), (slice(2, 10), 96)):
        parts(images, crop_major(draws, views), size, asked.turns)
    if asked.device == "cuda":
        on_gpu(images, crops, draws)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="a folder of images")
    parser.add_argument("--peer-dino", type=Path, help="a checkout of facebookresearch/dino")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    return parser.parse_args()


def load_dino(folder: Path) -> ModuleType:
    """Import the official training script."""
    sys.path.insert(0, str(folder))
    import main_dino  # type: ignore[import-not-found]

    module: ModuleType = main_dino
    return module


def show(title: str, sides: Sides, images: int, turns: int) -> None:
    """Run the sides in turns and print the smallest CPU time of each for one image."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(turns):
        for name, run in sides.items():
            start = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - start)
    print(title)
    for name, seconds in best.items():
        ratio = best["ours"] and seconds / best["ours"]
        print(f"  {name:<24} {seconds / images * 1e3:7.3f} ms  {ratio:6.2f} x ours")


def floor(draws: CropDraws, crops: MultiCrop) -> float:
    """Give the seconds to read all crops' pixels (3 bytes) and write all values (4 bytes)."""
    values = sum(3 * size * size for size in crops.sizes) * len(draws.flip)
    moved = draws.box[..., 2:].prod(-1).sum() * 3 + values * 4
    source = torch.ones(32_000_000)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        target.copy_(source)
        seconds.append(time.process_time() - start)
    return float(moved / (2 * 4 * len(source) / min(seconds)))


def gap(images: list[Pixels], crops: MultiCrop, draws: CropDraws) -> float:
    """Give the mean absolute difference of the two sides in gray levels."""
    pairs = zip(
        augment_batch(images, crops, draws), augment_with_pil(images, crops, draws), strict=True
    )
    std = torch.tensor(STD).view(3, 1, 1)
    return float(np.mean([((left - right) * std * 255).abs().mean() for left, right in pairs]))


def parts(images: list[Pixels], draws: CropDraws, size: int, turns: int) -> None:
    """Compare the single steps on the crops of one size."""
    draws = pick(draws, like_with_like(draws))
    count = len(draws.flip)
    sources = [images[row % len(images)] for row in range(count)]
    boxes = np.array(
        [[0, 0, *image.shape[:2]] for image in sources]
    )  # the order of the draws isn't the images': whole images, so that every box fits
    boxes[:, 2:] = boxes[:, 2:] * (0.85 if size == 224 else 0.45)
    opened = [Image.fromarray(image) for image in sources]
    made = torch.empty(count, 3, size, size)

    def crop_with_pil() -> list[Image.Image]:
        return [
            ops.resized_crop(image, *box, [size, size], InterpolationMode.BICUBIC)
            for image, box in zip(opened, boxes.tolist(), strict=True)
        ]

    def crop() -> None:
        crop_each(sources, boxes, draws.flip, made, kind="bicubic")

    crop()
    small, cut = crop_with_pil(), made.clone()

    def jitter_with_pil() -> None:
        for row in np.flatnonzero(draws.jitter):
            image = small[row]
            for which in draws.order[row]:
                image = ADJUST[which](image, float(draws.factors[row, which]))

    def blur_with_pil() -> None:
        for row in np.flatnonzero(draws.blur_radius):
            small[row].filter(ImageFilter.GaussianBlur(float(draws.blur_radius[row])))

    steps: dict[str, Sides] = {
        "crop and resize": {"PIL": crop_with_pil, "ours": crop},
        "jitter": {
            "PIL": jitter_with_pil,
            "ours": lambda: jitter(cut, draws.jitter, draws.order, draws.factors),
        },
        "blur": {"PIL": blur_with_pil, "ours": lambda: blur_some(cut, draws.blur_radius)},
    }
    for name, sides in steps.items():
        title = f"{name}, {count // len(images)} crops of {size} px for each image"
        show(title, sides, len(images), turns)


def on_gpu(images: list[Pixels], crops: MultiCrop, draws: CropDraws) -> None:
    """Time the crops of a batch on the GPU, its upload among them."""
    seconds = []
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        augment_packed(images, crops, draws, torch.device("cuda"))
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    rate = len(images) / min(seconds)
    print(f"GPU: {min(seconds) * 1e3:.2f} ms for the batch, {rate:,.0f} images/s")


if __name__ == "__main__":
    main()
