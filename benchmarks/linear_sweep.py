"""A grid of linear heads trained as one product, against one `nn.Linear` and SGD for each head.

    python benchmarks/linear_sweep.py [--rows 9469] [--dim 384] [--heads 9]

Prints the CPU time of an epoch of each on one thread, for few classes and for many, and that of the
matrix products alone. Few classes: the goal is half the time of one by one. With many, the products
take most of either way, so the goal is them. Exit code 1 where one is missed.
"""

import argparse
import sys
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.stopwatch import conditions, one_core, race
from benchmarks.verdict import told
from vitbench_protocols.linear_probe.heads import make_heads

BATCH = 1024
FEW, MANY = 10, 1000  # classes
OF_APART, OF_PRODUCTS = 0.5, 1.3  # goals
ROUNDS = 4
RATES = tuple(10.0 ** (-4 + 4 * index / 8) for index in range(9))


def separate(features: Tensor, labels: Tensor, rates: tuple[float, ...], classes: int) -> None:
    """Train one epoch of heads that know nothing of one another."""
    layers = [nn.Linear(features.shape[1], classes) for _ in rates]
    optimizers = [
        torch.optim.SGD(layer.parameters(), lr=rate, momentum=0.9)
        for layer, rate in zip(layers, rates, strict=True)
    ]
    for rows in torch.split(torch.arange(len(features)), BATCH):
        batch, truth = features[rows], labels[rows]
        for layer, optimizer in zip(layers, optimizers, strict=True):
            optimizer.zero_grad()
            torch.autograd.backward(nn.functional.cross_entropy(layer(batch), truth))
            optimizer.step()


def together(features: Tensor, labels: Tensor, rates: tuple[float, ...], classes: int) -> None:
    """Train one epoch of the same heads as one product."""
    heads = make_heads(rates, features.shape[1], classes, seed=0, device=torch.device("cpu"))
    for rows in torch.split(torch.arange(len(features)), BATCH):
        heads.step(features[rows], labels[rows], scale=1.0, momentum=0.9)


def products(features: Tensor, labels: Tensor, rates: tuple[float, ...], classes: int) -> None:
    """Do only the two matrix products of every step: the floor."""
    weight = torch.zeros(len(rates) * classes, features.shape[1])
    gradient = torch.zeros(BATCH, len(weight))
    for rows in torch.split(torch.arange(len(features)), BATCH):
        batch = features[rows]
        torch.mm(batch, weight.T)
        torch.mm(gradient[: len(batch)].T, batch)


def main() -> int:
    """Print three times for few classes and for many; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=9469)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--heads", type=int, default=9)
    flags = parser.parse_args()
    print(conditions())
    few, many = (times(flags.rows, flags.dim, flags.heads, classes=one) for one in (FEW, MANY))
    what = f"{flags.heads} linear heads as one product"
    met = (
        told(f"{what}, {FEW} classes", few.ours / few.apart, OF_APART, "of one by one"),
        told(f"{what}, {MANY:,} classes", many.ours / many.floor, OF_PRODUCTS, "of the products"),
    )
    return int(not all(met))


class Times(NamedTuple):
    """Seconds of an epoch."""

    apart: float
    ours: float
    floor: float


def times(rows: int, dim: int, heads: int, *, classes: int) -> Times:
    """Measure and print one size."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(rows, dim, generator=generator)
    labels = torch.randint(classes, (rows,), generator=generator)
    works = {
        work: partial(work, features, labels, RATES[:heads], classes)
        for work in (separate, together, products)
    }
    with one_core():
        found = Times(*(timing.least for timing in race(works, ROUNDS).values()))
    speed = 4 * rows * dim * classes * heads / found.floor / 1e9
    print(f"{heads} heads, {rows:,} x {dim}, {classes:,} classes, one epoch")
    print(f"  separate   {found.apart:8.3f} s")
    print(f"  together   {found.ours:8.3f} s   {found.apart / found.ours:.2f}x faster")
    share = found.floor / found.apart
    print(f"  products   {found.floor:8.3f} s   {speed:.0f} GFLOP/s, {share:.2f} of one by one")
    return found


if __name__ == "__main__":
    sys.exit(main())
