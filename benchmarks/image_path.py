"""From image files to the pixels of a backbone: milliseconds of each step, and images/s by cores.

python benchmarks/image_path.py [--images N] [--size WIDTH HEIGHT]

The first pass over a data set looks at header and end of each file, decodes it and makes its view.
Both ways of `--resampling` are timed beside what everyone uses, PIL and torchvision's transforms.
"""

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from io import BytesIO
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, PILToTensor, Resize

from benchmarks.stopwatch import conditions, one_core, race
from benchmarks.verdict import told
from vitbench.data.dataset import open_dataset
from vitbench.data.decode import decode, early_refusal
from vitbench.data.loader import load_batches
from vitbench.data.sizes import Pixels
from vitbench.data.transforms import ImageView
from vitbench.freed_memory import keep_freed_memory

BATCH = 32
ROUNDS = 7
BEFORE = 7.25  # ms an image of 500 x 375, before this path was looked at: 1.45 to find broken ones
LOOK = "look at header and end (once)"
FASTER = 2.5  # times as fast, the goal
VIEWS = {"exact": ImageView(), "fast": ImageView(resampling="fast")}
PLAIN = Compose([Resize(256, InterpolationMode.BICUBIC), CenterCrop(224), PILToTensor()])


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


def main() -> int:
    """Print a line for each step, and one for each number of threads; 1 if the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, nargs=2, default=(500, 375))
    given = parser.parse_args()
    print(conditions())
    keep_freed_memory()  # as evaluations do
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        root = Path(folder)
        write_photos(root, given.images, tuple(given.size))
        files = [path.read_bytes() for path in sorted((root / "val" / "one").iterdir())]
        taken = steps(files)
        by_cores(root, given.images)
    return int(not first_pass(taken))


def steps(files: list[bytes]) -> dict[str, float]:
    """Time the steps of one image, on one core; return the milliseconds of each."""
    images = [decode("", data) for data in files]
    data, image = cycle(files), cycle(images)
    works: dict[str, Callable[[], object]] = {
        "hash": lambda: hashlib.sha256(next(data)).digest(),
        LOOK: lambda: early_refusal(lambda: ("", next(data))),
        "decode": lambda: decode("", next(data)),
        "PIL and torchvision's transforms": lambda: PLAIN(_opened(next(data))),
    }
    for name, view in VIEWS.items():
        works[f"resize and crop, {name}"] = partial(_viewed, view, image)
        works[f"decode, resize and crop, {name}"] = partial(_decoded_and_viewed, view, data)
    found = {}
    with one_core():
        each = {name: partial(many, work, len(files)) for name, work in works.items()}
        for name, timing in race(each, ROUNDS).items():
            found[name] = 1e3 * timing.least / len(files)
            print(f"  {name:34} {found[name]:6.2f} ms an image (+{timing.spread:.0f} %)")
    return found


def first_pass(taken: Mapping[str, float]) -> bool:
    """Print what a first pass costs, that look included; return whether a fast one is in time."""
    looked_at, plain = taken[LOOK], taken["PIL and torchvision's transforms"]
    whole = {name: looked_at + taken[f"decode, resize and crop, {name}"] for name in VIEWS}
    for name, cost in whole.items():
        print(
            f"  first pass, {name:5} {cost:6.2f} ms an image: {BEFORE / cost:.2f} x what it was,"
            f" {plain / cost:.2f} x PIL and torchvision's"
        )
    what = "first pass over images, one core, `--resampling fast`"
    return told(what, whole["fast"], BEFORE / FASTER, "ms an image")


def _opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data)).convert("RGB")


def _viewed(view: ImageView, images: Iterator[Pixels]) -> object:
    return view.of_pixels(next(images))


def _decoded_and_viewed(view: ImageView, files: Iterator[bytes]) -> object:
    return view.of_pixels(decode("", next(files)))


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
        least = dict.fromkeys(VIEWS, float("inf"))
        for name in [*VIEWS] * ROUNDS:
            start = time.perf_counter()
            for _ in load_batches(dataset, batches, VIEWS[name], workers=cores):
                pass
            least[name] = min(least[name], time.perf_counter() - start)
        told_of = ", ".join(f"{name} {count / took:7.1f}" for name, took in least.items())
        print(f"  {cores} cores, images/s on the clock: {told_of}")
    os.sched_setaffinity(0, set(allowed))


if __name__ == "__main__":
    sys.exit(main())
