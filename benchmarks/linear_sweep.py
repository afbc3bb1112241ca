"""A grid of linear heads trained as one product, against one `nn.Linear` and SGD for each head.

    python benchmarks/linear_sweep.py [--rows 9469] [--dim 768] [--classes 1000] [--heads 9]

Prints the time of an epoch of each, their ratio, and the distance from the matrix products alone.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from vitbench_protocols.linear_probe.heads import make_heads

BATCH = 1024
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


def seconds(work: Callable[..., None], *arguments: object, repeats: int = 3) -> float:
    """Return the best time of some."""
    found = []
    for _ in range(repeats):
        start = time.perf_counter()
        work(*arguments)
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=9469)
    parser.add_argument("--dim", type=int, default=768)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--heads", type=int, default=9)
    flags = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(flags.rows, flags.dim, generator=generator)
    labels = torch.randint(flags.classes, (flags.rows,), generator=generator)
    arguments = (features, labels, RATES[: flags.heads], flags.classes)
    apart, ours, floor = (seconds(work, *arguments) for work in (separate, together, products))
    flops = 4 * flags.rows * flags.dim * flags.classes * flags.heads
    print(f"{flags.heads} heads, {flags.rows} x {flags.dim}, {flags.classes} classes, one epoch")
    print(f"separate   {apart:8.3f} s")
    print(f"together   {ours:8.3f} s   {apart / ours:.2f}x faster")
    print(
        f"products   {floor:8.3f} s   {flops / floor / 1e9:.0f} GFLOP/s; ours {ours / floor:.2f}x"
    )


if __name__ == "__main__":
    main()
