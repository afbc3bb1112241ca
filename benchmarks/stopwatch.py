"""How long a piece of work takes, and how fast the machine could be."""

import time
from collections.abc import Callable
from typing import Any

import torch


def product_speed(device: torch.device) -> float:
    """Return the multiplications and additions a second of one large product."""
    left = torch.randn(2048, 2048, device=device)
    return 2 * 2048**3 / best(lambda: left @ left, 5, device)


def best(work: Callable[[], Any], rounds: int, device: torch.device) -> float:
    """Return the seconds of the fastest round, after one to warm up."""
    work()
    return min(seconds(work, device) for _ in range(rounds))


def seconds(work: Callable[[], Any], device: torch.device) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
