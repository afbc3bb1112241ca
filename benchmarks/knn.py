"""Exact k-NN search: our two engines against chunked matrix product + top-k, side by side.

python benchmarks/knn.py [--bank 100000] [--queries 5000] [--dim 384] [--device cpu]
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from vitbench.neighbors import search

CHUNK = 100  # queries at once in the reference's loop


def reference(bank: Tensor, queries: Tensor, k: int) -> Tensor:
    """Search as evaluation scripts do: chunk after chunk, top-k of a matrix product."""
    columns = bank.t()
    return torch.cat([(rows @ columns).topk(k).indices for rows in torch.split(queries, CHUNK)])


def seconds(work: Callable[[], Tensor], runs: int = 3) -> tuple[float, Tensor]:
    """Return the best time of several runs, and the result."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        found = work()
        if found.is_cuda:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best, found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bank", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--device", default="cpu")
    chosen = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    bank, queries = (
        normalize(torch.randn(rows, chosen.dim, generator=generator), dim=1).to(chosen.device)
        for rows in (chosen.bank, chosen.queries)
    )
    left, right = (torch.randn(2048, 2048, device=chosen.device) for _ in range(2))
    rate = 2 * 2048**3 / seconds(lambda: left @ right, runs=5)[0]
    floor = 2 * chosen.bank * chosen.queries * chosen.dim / rate
    print(f"bank {chosen.bank}, {chosen.queries} queries, D {chosen.dim}, {chosen.device}")
    print(f"FLOP floor at {rate / 1e9:.0f} GFLOP/s: {floor:.2f} s")
    for k in (20, 200):
        plain, expected = seconds(lambda k=k: reference(bank, queries, k))  # type: ignore[misc]
        print(f"k {k:3}  chunked matmul + top-k {plain:6.2f} s")
        for engine in ("torch", "faiss"):
            ours, found = seconds(
                lambda k=k, engine=engine: search(bank, queries, k, engine=engine).indices  # type: ignore[misc]
            )
            same = (found == expected).double().mean().item()
            print(
                f"       ours, {engine:5} {ours:15.2f} s  {plain / ours:5.2f} x"
                f"  equal neighbors {100 * same:.3f} %  {ours / floor:.1f} x the floor"
            )


if __name__ == "__main__":
    main()
