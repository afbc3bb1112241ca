"""Which training images are taken: a few of each class, and those that choose C."""

import numpy as np
from numpy.typing import NDArray

from vitbench.api import errors
from vitbench.kit import keyed_uniform, permutation

Rows = NDArray[np.int64]


def few(targets: Rows, *, shots: int, percent: float, seed: int, draw: int) -> Rows:
    """Draw images of each class; more shots of the same draw hold the fewer.

    Args:
        targets: Class of each training image, (n,).
        shots: How many of each class; 0: by `percent`.
        percent: Of each class's images, rounded, at least one; 0: all.
        seed: Of the run.
        draw: Number of the draw.

    Returns:
        Rows in their order; all of a class that has no more.
    """
    if not shots and not percent:
        return np.arange(len(targets))
    keys = keyed_uniform(seed, "shots", draw, np.arange(len(targets)), count=1)[:, 0]
    order = np.lexsort((keys, targets))
    sizes = np.bincount(targets)
    rank = np.arange(len(targets)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    share = np.maximum(1, np.round(sizes * percent / 100))
    most = np.full(len(sizes), shots) if shots else share
    return np.sort(order[rank < most[targets[order]]])


def held_out(rows: Rows, share: float, *, seed: int, draw: int) -> tuple[Rows, Rows]:
    """Split training images by chance: those that are fitted, and those that choose C.

    Raises:
        SettingError: If the smaller part would be empty.
    """
    count = int(len(rows) * share)
    if not count:
        raise errors.SettingError(
            [f"{len(rows)} training images are too few to hold out a share of {share:g}"],
            hint="one --c-values, or a larger --held-out",
        )
    order = permutation(seed, "held out", draw, length=len(rows))
    return np.sort(rows[order[count:]]), np.sort(rows[order[:count]])
