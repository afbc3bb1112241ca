"""From image files to the pixels of a backbone: milliseconds of each step, and images/s by cores.

python benchmarks/image_path.py [--images N] [--size WIDTH HEIGHT]
"""

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.stopwatch import conditions, one_core, race
from vitbench.data.dataset import open_dataset
from vitbench.data.decode import decode, refusal
from vitbench.data.loader import load_batches
from vitbench.data.transforms import ImageView

BATCH = 32


def write_photos(root: Path, count: int, size: tuple[int, int]) -> None:
    """Write JPEG files about as hard to decode as photos: smooth shapes and some grain."""
    generator = np.random.default_rng(0)
    for split in ("train", "val"):
        (root / split / "one").mkdir(parents=True)
    for number in range(count):
        coarse = generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        shapes = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
        grain = generator.integers(-12, 13, shapes.shape)
        photo = Image.fromarray((shapes + grain).clip(0, 255).astype(np.uint8))
        photo.save(root / "val" / "one" / f"{number}.jpg", quality=90)
    photo.save(root / "train" / "one" / "0.jpg")


def main() -> None:
    """Print a line for each step, and one for each number of threads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375))
    given = parser.parse_args()
    print(conditions())
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        root = Path(folder)
        write_photos(root, given.images, tuple(given.size))
        files = [path.read_bytes() for path in sorted((root / "val" / "one").iterdir())]
        steps(files)
        by_cores(root, given.images)


def steps(files: list[bytes]) -> None:
    """Time the steps of one image, on one core."""
    view, images = ImageView(), [Image.fromarray(decode("", data)) for data in files]
    data, image = cycle(files), cycle(images)
    works: dict[str, Callable[[], object]] = {
        "hash": lambda: hashlib.sha256(next(data)).digest(),
        "verify (once for a data set)": lambda: refusal(lambda: ("", next(data))),
        "decode": lambda: decode("", next(data)),
        "resize and crop": lambda: view(next(image)),
    }
    with one_core():
        each = {name: partial(many, work, len(files)) for name, work in works.items()}
        for name, timing in race(each, 3).items():
            each_image = 1e3 * timing.least / len(files)
            print(f"  {name:30} {each_image:6.2f} ms an image (+{timing.spread:.0f} %)")


def many(work: Callable[[], object], count: int) -> None:
    """Do it for every image."""
    for _ in range(count):
        work()


def by_cores(root: Path, count: int) -> None:
    """Time the whole path, as evaluations take it, on a growing number of cores."""
    dataset = open_dataset(str(root), "classification", "val")
    batches = [range(at, min(at + BATCH, count)) for at in range(0, count, BATCH)]
    allowed = sorted(os.sched_getaffinity(0))
    for cores in range(1, len(allowed) + 1):
        os.sched_setaffinity(0, set(allowed[:cores]))
        least = float("inf")
        for _ in range(3):
            start = time.perf_counter()
            for _ in load_batches(dataset, batches, ImageView(), workers=cores):
                pass
            least = min(least, time.perf_counter() - start)
        print(f"  {cores} cores: {count / least:7.1f} images/s on the clock")
    os.sched_setaffinity(0, set(allowed))


if __name__ == "__main__":
    main()
