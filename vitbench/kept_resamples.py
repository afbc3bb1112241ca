"""Scores of resamples, drawn once for each run: in memory while it lasts, and in the user's cache.

Resampling an AP takes a second and more for a thousand images, and a report compares every run
with several others.
"""

import hashlib
from contextlib import suppress
from pathlib import Path

import numpy as np

from vitbench.bootstrap import Resampled, resampled_score
from vitbench.cache import cache_place, find_cached
from vitbench.outside_files import unless_broken
from vitbench.records import atomic
from vitbench.score_statistics import Items

VERSION = 1  # of how resamples are drawn, and scores formed of them


class KeptResamples:
    """A `vitbench.bootstrap.Resample` that remembers.

    What is kept is known by the content of the items. A file that is broken is made again; a cache
    that can't be written costs time alone.
    """

    def __init__(self) -> None:
        self._known: dict[str, Resampled | None] = {}

    def __call__(self, items: Items, metric: str, *, seed: int = 0) -> Resampled | None:
        """Resample a score; None for fewer than two items, or where they do not hold it."""
        key = _key(items, metric, seed)
        if key not in self._known:
            kept = ("resamples", f"{key}.npy")
            self._known[key] = _read(find_cached(*kept)) or _drawn(kept, items, metric, seed)
        return self._known[key]


def _drawn(kept: tuple[str, str], items: Items, metric: str, seed: int) -> Resampled | None:
    """Resample a score and keep it."""
    found = resampled_score(items, metric, seed=seed)
    if found is not None:
        with suppress(OSError):
            path = cache_place(*kept)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, np.concatenate([[found.value], found.drawn]))
    return found


def _read(path: Path) -> Resampled | None:
    """Read what was kept; None where nothing whole is."""
    values = unless_broken(lambda: np.load(path, mmap_mode="r", allow_pickle=False))
    if values is None or values.ndim != 1 or values.dtype != np.float64 or len(values) < 2:
        return None
    return Resampled(float(values[0]), np.array(values[1:]))


def _key(items: Items, metric: str, seed: int) -> str:
    """Return what the scores of resamples depend on (sha256, hexadecimal)."""
    digest = hashlib.sha256(f"{VERSION} {seed} {metric}\0".encode())
    for name in sorted(items):
        array = np.ascontiguousarray(items[name])
        digest.update(f"{name}\0{array.dtype.str} {array.shape}\0".encode())
        digest.update(array.data if array.size else b"")
    return digest.hexdigest()
