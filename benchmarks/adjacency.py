"""Counting ground-truth positives: ours against a plain double loop over patches and neighbors.

Then a whole evaluation of a network so small that all the rest is ours: truth, ranks, pictures.

    python benchmarks/adjacency.py [--data COCO_FOLDER] [--images N] [--grid]

Without `--data`, label maps of random rectangles stand in for COCO's.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.items import write_photos
from benchmarks.verdict import told
from vitbench.api import RunOptions, evaluate, resolve
from vitbench.data.adjacency import cut, existing_neighbors, neighbor_similarity, passes
from vitbench.data.coco import open_coco
from vitbench.data.label_maps import Geometry, Labels
from vitbench.data.parallel import map_items
from vitbench.data.positives import PositiveRule, find_positives, label_map
from vitbench.data.positives_grid import count_grid
from vitbench_protocols.adjacency import Adjacency

ROUNDS = 3
EVALUATED, MOST = 50, 4.0  # images, and seconds of CPU time
NETWORK = "random:vit_micro_patch16_224"


def count_plainly(labels: Labels, patch_px: int, threshold: float) -> NDArray[np.int64]:
    """Count the positives of each patch as one writes it down first, shape (h, w).

    One-hot maps as vectors, background a class, eight neighbors, grid ending at its border.
    """
    h, w = labels.shape[0] // patch_px, labels.shape[1] // patch_px
    onehot = np.eye(labels.max() + 1, dtype=np.float32)[labels]  # (H, W, classes)
    counts = np.zeros((h, w), np.int64)

    def patch(row: int, column: int) -> NDArray[np.float32]:
        rows = slice(row * patch_px, (row + 1) * patch_px)
        return onehot[rows, column * patch_px : (column + 1) * patch_px].ravel()

    for row in range(h):
        for column in range(w):
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    other_row, other_column = row + down, column + right
                    inside = 0 <= other_row < h and 0 <= other_column < w
                    if (down or right) and inside:
                        one, other = patch(row, column), patch(other_row, other_column)
                        cosine = one @ other / np.sqrt((one @ one) * (other @ other))
                        counts[row, column] += cosine >= threshold
    return counts


def count_ours(labels: Labels, patch_px: int, threshold: float) -> NDArray[np.int64]:
    """Count the same with the tables."""
    similarity = neighbor_similarity(cut(labels, patch_px), "one-hot-map")
    exists = existing_neighbors(*similarity.shape[1:])
    return np.asarray(np.count_nonzero(passes(similarity, threshold) & exists, axis=0))


def main() -> int:
    """Print images a second of each, and whether they agree; 1 where the evaluation takes long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--grid", action="store_true", help="time the grid of all readings too")
    given = parser.parse_args()
    reading = PositiveRule()
    maps = _random_maps(given.images) if given.data is None else _maps(given.data, given.images)
    same, (plain_seconds, our_seconds) = _timed((count_plainly, count_ours), maps, reading)
    print(f"counting {len(maps)} label maps of 224 x 224, patches of 16, CPU time")
    print(f"  double loop  {len(maps) / plain_seconds:9.1f} images/s")
    print(f"  vitbench     {len(maps) / our_seconds:9.1f} images/s")
    print(f"  ratio        {plain_seconds / our_seconds:9.1f}   identical counts: {same}")
    floor = _floor_seconds(maps[0])
    print(f"  {our_seconds / len(maps) * 1e3:.2f} ms an image, byte floor {floor * 1e3:.3f} ms")
    if given.data is not None:
        _time_whole(given.data, reading, grid=given.grid)
    what = f"`eval adjacency` with a checkpoint, {EVALUATED} images, without imports"
    return int(not (told(what, evaluation_seconds(), MOST) and same))


def evaluation_seconds() -> float:
    """Return the CPU time of an evaluation, its processes' too."""
    with tempfile.TemporaryDirectory(prefix="vitbench-") as name:
        folder, network = Path(name), resolve(NETWORK)
        os.environ["VITBENCH_CACHE"] = str(folder / "cache")
        write_photos(folder / "coco", EVALUATED, "val")
        whole = RunOptions(data=str(folder / "coco"), results=folder)
        evaluate(Adjacency(), network, replace(whole, limit=2))  # imports what it draws with
        start = sum(os.times()[:4])
        evaluate(Adjacency(), network, whole)
        return sum(os.times()[:4]) - start


def _floor_seconds(labels: Labels) -> float:
    """Time the copying of what must be read: 4 bytes a pixel, and 2 for each of 4 comparisons."""
    source = np.zeros(12 * labels.size, np.uint8)
    target = np.empty_like(source)
    start = time.process_time()
    for _ in range(1000):
        np.copyto(target, source)
    return (time.process_time() - start) / 1000


def _time_whole(root: Path, reading: PositiveRule, *, grid: bool) -> None:
    """Time everything from the annotation file on, by two processes."""
    dataset = open_coco(root, "val")
    images = 5000 // len(dataset) * len(dataset)

    def default() -> int:
        return len(list(map_items(_Repeated(root, reading), range(images), workers=2)))

    def all_readings() -> int:
        return len(count_grid(dataset, reading, workers=2, progress=lambda done, total: None))

    _report(f"default reading, {images} images (the set repeated)", default, images)
    if grid:
        _report(f"all readings, {len(dataset)} images", all_readings, len(dataset))


def _report(title: str, work: Callable[[], int], images: int) -> None:
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    work()
    wall, cpu = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
    print(f"{title}, 2 processes: {wall:.1f} s, {cpu:.1f} s of CPU time")
    print(f"  for 5,000 images: {cpu / images * 5000:.0f} s of CPU time, half of it on two cores")


class _Repeated:
    """The counting of a dataset, over and over."""

    def __init__(self, root: Path, reading: PositiveRule) -> None:
        self.dataset, self.reading = open_coco(root, "val"), reading

    def __call__(self, index: int) -> float:
        return find_positives(self.dataset.target(index % len(self.dataset)), self.reading).mean


def _timed(
    counters: Sequence[Callable[[Labels, int, float], NDArray[np.int64]]],
    maps: Sequence[Labels],
    reading: PositiveRule,
) -> tuple[bool, list[float]]:
    """Return whether the counters agree, and the CPU time of each one's best of three rounds."""
    seconds = [[0.0] * ROUNDS for _ in counters]
    results: list[list[NDArray[np.int64]]] = [[] for _ in counters]
    for turn in range(ROUNDS):
        for number, count in enumerate(counters):
            start = time.process_time()
            results[number] = [count(m, reading.patch_px, reading.threshold) for m in maps]
            seconds[number][turn] = time.process_time() - start
    same = all(np.array_equal(results[0], other) for other in results[1:])
    return same, [min(rounds) for rounds in seconds]


def _maps(root: Path, images: int) -> list[Labels]:
    dataset, geometry = open_coco(root, "val"), Geometry("resize-crop", 224)
    targets = [dataset.target(index) for index in range(min(images, len(dataset)))]
    return [geometry.apply_to_labels(label_map(target).labels("categories")) for target in targets]


def _random_maps(images: int) -> list[Labels]:
    generator, maps = np.random.default_rng(0), []
    for _ in range(images):
        labels = np.zeros((224, 224), np.int32)
        for _ in range(7):
            top, left, height, width = generator.integers(1, 160, 4)
            labels[top : top + height, left : left + width] = generator.integers(1, 81)
        maps.append(labels)
    return maps


if __name__ == "__main__":
    sys.exit(main())
