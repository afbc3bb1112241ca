"""How cost grows with the input: each part of the protocols at 1, 10 and 100 times its input.

    python benchmarks/growth.py [NAME …]

Each size runs in a child process of its own on one thread. Printed are the seconds of CPU time, the
memory that the work took beyond its input, and the exponents from 10 to 100 times. Where the work
is too quick or too small to tell, there is none. Exits with 1 where an exponent is above what the
mathematics asks for, or a goal is missed.
"""

import argparse
import math
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.child_process import Work, measured
from benchmarks.items import detection_items, write_annotations, write_folders
from benchmarks.verdict import told
from vitbench import bootstrap, neighbors
from vitbench.data.classified import turn_order
from vitbench.data.coco import open_coco
from vitbench.data.content import Digests
from vitbench.data.folders import open_folders
from vitbench.data.listing import image_names
from vitbench.data.positives import PositiveRule, find_positives
from vitbench.keyed_random import permutation
from vitbench_protocols.adjacency.rank_curve import RankCurve
from vitbench_protocols.davis.jf import score_frame
from vitbench_protocols.detection.ap_by_image import ap_by_image
from vitbench_protocols.detection.metrics import KINDS
from vitbench_protocols.detection.results import Detected
from vitbench_protocols.detection.scores import evaluate_kind
from vitbench_protocols.detection.truth import Truth

MOST = 1.1  # exponent
SORTING = 1.3  # n log n, and at 100 times no longer in the processor's cache
SECONDS, BYTES = 0.05, 100e6  # below these an exponent says nothing
Prepare = Callable[[int, Path], Work]  # size and an empty folder -> what is timed


@dataclass(frozen=True)
class Case:
    """One piece of work."""

    size: int  # 1 times its input
    of: str
    prepare: Prepare
    most: float = MOST
    seconds: float = math.inf  # goal for 100 times


def generator() -> np.random.Generator:
    """Return the same numbers for every case."""
    return np.random.default_rng(0)


def unit(rows: int, width: int = 64) -> torch.Tensor:
    """Return features of length 1."""
    drawn = generator().normal(size=(rows, width)).astype(np.float32)
    return torch.nn.functional.normalize(torch.from_numpy(drawn), dim=1)


def knn(bank: int, queries: int) -> Work:
    """Search and vote."""
    features, asked, labels = unit(bank), unit(queries), torch.arange(bank) % 1000

    def work() -> None:
        found = neighbors.search(features, asked, 20)
        neighbors.vote(found, labels, classes=1000, k=20, temperature=0.07)

    return work


def resampled(metric: str, items: dict[str, Any]) -> Work:
    """Form an interval."""
    return lambda: bootstrap.score_interval(items, metric)


def means(size: int) -> Work:
    """Resample the mean of numbers that all differ."""
    values = generator().normal(size=size)
    return lambda: bootstrap.mean_interval(values)


def confusions(size: int) -> Work:
    """Form an interval of mIoU over 150 classes."""
    counts = generator().integers(1, 9, (3, size, 150))
    names = ("hits", "predicted", "true")
    table = {f"confusion_{name}": part for name, part in zip(names, counts, strict=True)}
    return resampled("miou", {"ids": np.arange(size).astype(str), **table})


def coco(size: int, root: Path) -> Work:
    """Open annotations."""
    write_annotations(root, size)
    return lambda: open_coco(root, "train")


def positives(size: int, root: Path) -> Work:
    """Count adjacent positives."""
    write_annotations(root, size)
    dataset, rule = open_coco(root, "train"), PositiveRule()
    return lambda: [find_positives(dataset.target(place), rule) for place in range(size)]


def evaluated(size: int, root: Path) -> Work:
    """Evaluate boxes as COCO does."""
    write_annotations(root, size)
    truth = Truth.of(open_coco(root, "train"))
    drawn, found = generator(), []
    for image in truth.objects:
        for one in image.items:
            left, top, wide, high = (side + drawn.normal(0, 4) for side in one.box)
            box = (left, top, abs(wide), abs(high))
            found.append(Detected(image.image_id, one.category, float(drawn.random()), box))
    return lambda: evaluate_kind(truth, found, "box")


def folders(size: int, root: Path) -> Work:
    """Open class folders."""
    write_folders(root, size, 10)
    return lambda: open_folders(root, "train")


def digests(size: int, root: Path) -> Work:
    """Hash files."""
    write_folders(root, size, 10)
    files = [root / "train" / name for name in image_names(root / "train")]
    return lambda: Digests(root).of(files)


def ranked(size: int) -> Work:
    """Score a ranking."""
    values, labels = generator().random(size), generator().random(size) < 0.5

    def work() -> None:
        curve = RankCurve.of(labels, values)
        _ = curve.average_precision, curve.auroc, curve.best_f1

    return work


def frames(size: int) -> Work:
    """Score the masks of frames."""
    masks = generator().integers(0, 3, (2, 12, 20)).astype(np.uint8).repeat(20, 1).repeat(20, 2)
    return lambda: [score_frame(masks[0], masks[1], 2) for _ in range(size)]


def by_image(size: int) -> Work:
    """Score each image of a detector's outcome, its boxes and its masks."""
    items = detection_items(size, 0)
    return lambda: [ap_by_image(items, "box") for _ in KINDS]  # masks are as many rows


def turns(size: int) -> Work:
    """Order images by turns of their classes."""
    targets = generator().integers(0, 1000, size).tolist()
    return lambda: turn_order(targets)


PARTS: dict[str, Case] = {
    "knn-bank": Case(1_000, "features in the bank", lambda n, _: knn(n, 500)),
    "knn-queries": Case(500, "queries", lambda n, _: knn(2_000, n)),
    "open-coco": Case(200, "images", coco),
    "open-folders": Case(500, "images", folders),
    "digests": Case(300, "files", digests),
    "turns": Case(10_000, "images", lambda n, _: turns(n), SORTING),
    "epoch-order": Case(
        10_000, "images", lambda n, _: partial(permutation, 0, "order", 0, length=n), SORTING
    ),
    "adjacency-truth": Case(3, "images", positives),
    "adjacency-ranking": Case(20_000, "pairs", lambda n, _: ranked(n), SORTING),
    "davis-scores": Case(3, "frames", lambda n, _: frames(n)),
    "coco-evaluation": Case(30, "images", evaluated),
    "ap-by-image": Case(
        50, "images, boxes and masks", lambda n, _: by_image(n), SORTING, seconds=3.0
    ),
    "ap-resampled": Case(50, "images", lambda n, _: resampled("ap_box", detection_items(n, 0))),
    "miou-resampled": Case(20, "images", lambda n, _: confusions(n)),
    "mean-resampled": Case(500, "numbers", lambda n, _: means(n)),
}


def exponent(small: float, large: float, least: float) -> float | None:
    """Return the exponent over a factor of 10."""
    return math.log10(large / max(small, least / 10)) if large > least else None


def main() -> int:
    """Print a line a case; 1 where one grows too fast."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*PARTS, []], metavar="NAME")
    wanted = parser.parse_args().names or list(PARTS)
    torch.set_num_threads(1)
    print(f"load {os.getloadavg()[0]:.1f}")
    print(f"{'':18} {'100 times':>24} {'seconds at 1, 10, 100':>26} {'MB':>8}  exponents")
    failed = 0
    for name in wanted:
        case = PARTS[name]
        sizes = [case.size * factor for factor in (1, 10, 100)]
        found = [measured(f"{name}, {size}", partial(case.prepare, size)) for size in sizes]
        exponents = [
            exponent(found[1][part], found[2][part], least)
            for part, least in enumerate((SECONDS, BYTES))
        ]
        bad = any(one is not None and one > case.most for one in exponents)
        failed |= bad
        times = " ".join(f"{seconds:8.3f}" for seconds, _ in found)
        shown = " ".join("   -" if one is None else f"{one:4.2f}" for one in exponents)
        size = f"{100 * case.size:,} {case.of}"
        print(
            f"{name:18} {size:>24} {times} {found[2][1] / 1e6:8.0f}  {shown}"
            f"{'  TOO FAST' if bad else ''}",
            flush=True,
        )
        if math.isfinite(case.seconds):
            failed |= not told(f"{name}, {size}", found[2][0], case.seconds)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
