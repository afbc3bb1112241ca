"""Dense nearest neighbors after the network: the search of an image's patches, and its enlarging.

python benchmarks/dense_knn.py [--memory 20000] [--classes 171]

The search is of one image at a time, as `eval segmentation` makes it, beside that of several images
together. The enlarging from patches to the class of every pixel is ours, in one step, beside two of
`interpolate` and an argmax over all classes. Exit code 1 where a goal is missed.
"""

import argparse
import sys
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from benchmarks.stopwatch import conditions, one_core, race
from benchmarks.verdict import told
from vitbench.neighbors import Bank
from vitbench_protocols.segmentation.enlarging import largest_class

GRID, VIEW, IMAGE = (32, 43), (512, 683), (480, 640)  # patches; pixels of a view, of an image
WHOLE = (512, 688)  # pixels of whole patches
WIDTH, NEIGHBORS = 384, 30
IMAGES = (1, 2, 8)  # searched together
GAIN, SHARE = 1.1, 0.5  # goals


def main() -> int:
    """Print both; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", type=int, default=20_000)
    parser.add_argument("--classes", type=int, default=171)
    given = parser.parse_args()
    print(conditions())
    with one_core(), torch.inference_mode():
        met = [searched(given.memory), enlarged(given.classes)]
    return int(not all(met))


def searched(memory: int) -> bool:
    """Print milliseconds an image; return whether images one by one are as fast as together."""
    generator = torch.Generator().manual_seed(0)
    patches = GRID[0] * GRID[1]
    rows = normalize(torch.randn(memory + max(IMAGES) * patches, WIDTH, generator=generator), dim=1)
    bank = Bank(rows[:memory])
    queries = torch.split(rows[memory:], patches)

    def search(together: int) -> None:
        for first in range(0, len(queries), together):
            bank.search(torch.cat(queries[first : first + together]), NEIGHBORS)

    found = race({count: partial(search, count) for count in IMAGES}, 3)
    taken = {count: 1e3 * timing.least / len(queries) for count, timing in found.items()}
    print(f"  {NEIGHBORS}-NN of {patches} patches")
    for count, each in taken.items():
        print(f"  {count:2} images together {each:8.1f} ms an image")
    what = f"dense k-NN image by image, {memory:,} patches remembered"
    return told(what, taken[1] / min(taken.values()), GAIN, "of the time of several together")


def enlarged(classes: int) -> bool:
    """Print milliseconds an image; return whether ours takes little enough of the plain way's."""
    scores = torch.rand(classes, *GRID, generator=torch.Generator().manual_seed(0))

    def plain() -> Tensor:
        seen = interpolate(scores[None], WHOLE, mode="bilinear")[..., : VIEW[0], : VIEW[1]]
        return interpolate(seen, IMAGE, mode="bilinear")[0].argmax(dim=0)

    def ours() -> Tensor:
        return largest_class(scores, WHOLE, VIEW, IMAGE)

    found = race({"ours": ours, "plain": plain}, 7)
    same = (ours() == plain()).double().mean().item()
    for name, timing in found.items():
        print(f"  enlarging, {name:5} {timing}")
    print(f"  {100 * same:.4f} % of the pixels get the same class")
    what = f"{classes} classes of {IMAGE[0]} x {IMAGE[1]} px from patches"
    taken = found["ours"].least / found["plain"].least
    return told(what, taken, SHARE, "of the time of interpolating twice")


if __name__ == "__main__":
    sys.exit(main())
