"""Exact k-NN search: our two engines against chunked product + top-k, whatever the features are.

python benchmarks/knn.py [--bank 80000] [--queries 500] [--dim 384] [--k 20]
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.stopwatch import conditions, one_core, race
from benchmarks.verdict import told
from vitbench.freed_memory import keep_freed_memory
from vitbench.neighbors import Engine, search

CHUNK = 100  # queries at once in the reference's loop
LIMIT = 2.0  # times the time for random features
REFERENCE = "product + top-k"


def reference(bank: Tensor, queries: Tensor, k: int) -> Tensor:
    """Search as evaluation scripts do: chunk after chunk, top-k of a matrix product."""
    columns = bank.t()
    return torch.cat([(rows @ columns).topk(k).indices for rows in torch.split(queries, CHUNK)])


def banks(rows: int, queries: int, width: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Return kinds of features, and queries of the same kind."""
    generator = torch.Generator().manual_seed(0)
    free, asked, centers = (
        normalize(torch.randn(count, width, generator=generator), dim=1)
        for count in (rows, queries, 20)
    )

    def around(points: Tensor, spread: float) -> tuple[Tensor, Tensor]:
        return tuple(  # type: ignore[return-value]
            normalize(points[torch.arange(len(part)) % len(points)] + spread * part, dim=1)
            for part in (free, asked)
        )

    return {
        "random": (free, asked),
        "collapsed to one point, 1e-2": around(centers[:1], 1e-2),
        "collapsed to one point, 1e-5": around(centers[:1], 1e-5),
        "all equal": around(centers[:1], 0.0),
        "20 rows, each repeated": around(centers, 0.0),
        "collapsed to 20 points, 1e-4": around(centers, 1e-4),
    }


def main() -> int:
    """Print a line for each kind of features; 1 where one takes too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bank", type=int, default=80_000)
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print(conditions())
    print(f"{given.queries} queries, {given.k} of {given.bank:,} rows of {given.dim}; one thread")
    keep_freed_memory()  # as evaluations do
    kinds = banks(given.bank, given.queries, given.dim)
    works: dict[tuple[str, str], Callable[[], object]] = {
        (kind, engine): partial(search, bank, queries, given.k, engine=engine)
        for kind, (bank, queries) in kinds.items()
        for engine in get_args(Engine)
    }
    works["random", REFERENCE] = partial(reference, *kinds["random"], given.k)
    with one_core():
        found = race(works, given.rounds)
    ratios = []
    for (kind, engine), timing in found.items():
        ratio = timing.least / found["random", engine].least
        ratios.append(ratio)
        print(f"{kind:30} {engine:16} {timing}  {ratio:5.2f} x random")
    return int(not told("k-NN of collapsed features", max(ratios), LIMIT, "times random ones"))


if __name__ == "__main__":
    sys.exit(main())
