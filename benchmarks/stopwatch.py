"""One way to time: alternating rounds, CPU time of a pinned thread beside wall time.

The minimum of the rounds is what the work costs; their spread says how well the machine let it be
seen.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

Name = TypeVar("Name")
CPU = torch.device("cpu")
ROUNDS = 5
LIBRARIES = ("torch", "timm", "numpy", "opencv-python-headless", "pillow")


@dataclass(frozen=True, slots=True)
class Timing:
    """What one piece of work took, over all rounds."""

    cpu: tuple[float, ...]  # seconds of CPU time of each round
    wall: tuple[float, ...]  # seconds on the clock

    @property
    def least(self) -> float:
        """CPU seconds of the fastest round: others of the machine hardly move them."""
        return min(self.cpu)

    @property
    def spread(self) -> float:
        """How much longer the slowest round took, percent."""
        return 100 * (max(self.cpu) / max(self.least, 1e-9) - 1)

    def __str__(self) -> str:
        least, wall = 1e3 * self.least, 1e3 * min(self.wall)
        return f"{least:9.1f} ms CPU (+{self.spread:.0f} %), {wall:9.1f} ms wall"


def race(
    works: Mapping[Name, Callable[[], Any]],
    rounds: int = ROUNDS,
    device: torch.device = CPU,
) -> dict[Name, Timing]:
    """Time several pieces of work in turns, after one round to warm up.

    On a GPU, CPU time says nothing: both figures are wall time then.
    """
    for work in works.values():
        work()
    taken: dict[Name, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(rounds):
        names = list(works)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            taken[name].append(_seconds(works[name], device))
    return {name: Timing(*zip(*each, strict=True)) for name, each in taken.items()}


def best(work: Callable[[], Any], rounds: int, device: torch.device) -> float:
    """Return the seconds of the fastest round of one piece of work; see `race`."""
    return race({"work": work}, rounds, device)["work"].least


def product_speed(device: torch.device) -> float:
    """Return the multiplications and additions a second of one large product."""
    left = torch.randn(2048, 2048, device=device)
    return 2 * 2048**3 / best(lambda: left @ left, 3, device)


@contextmanager
def one_core() -> Iterator[None]:
    """Pin this process and its threads-to-be to one core, and let torch use one thread."""
    allowed, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, {max(allowed)})
    torch.set_num_threads(1)
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
        torch.set_num_threads(threads)


def conditions() -> str:
    """Return in one line what the figures were measured on and with."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{time.strftime('%Y-%m-%d')}; commit {commit()}; {processor()}, {os.cpu_count()} cores,"
        f" load {os.getloadavg()[0]:.1f}; python {platform.python_version()}, {versions}"
    )


def commit() -> str:
    """Return the short name of the commit, with + where files differ from it."""
    here = Path(__file__).parent
    asked = ("git", "describe", "--always", "--dirty=+", "--exclude=*")
    found = subprocess.run(asked, cwd=here, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def processor() -> str:
    """Return the name of the CPU."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def _seconds(work: Callable[[], Any], device: torch.device) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return (time.perf_counter() - wall,) * 2
    return time.process_time() - cpu, time.perf_counter() - wall
