"""Detect predictions whose objects are numbered otherwise than in the truth."""

import numpy as np
from numpy.typing import NDArray

from vitbench_protocols.davis.jf import Mask

FAR = 2  # times as many pixels on the right object, that are worth a word


def count_overlaps(truth: Mask, predicted: Mask, objects: int) -> NDArray[np.int64]:
    """Count the pixels that each true object (row) shares with each predicted one (column)."""
    both = (truth > 0) & (truth <= objects) & (predicted > 0) & (predicted <= objects)
    pairs = (truth[both].astype(np.int64) - 1) * objects + predicted[both] - 1
    return np.bincount(pairs, minlength=objects * objects).reshape(objects, objects)


def better_order(overlaps: NDArray[np.int64]) -> str:
    """Return, as text, which numbers fit far better than those in the files; empty if none do.

    Args:
        overlaps: Shared pixels of a clip's true and predicted objects, (objects, objects).
    """
    best = overlaps.argmax(axis=1)
    fits_once = len({*best.tolist()}) == len(best)
    if not fits_once or overlaps.max(axis=1).sum() <= FAR * overlaps.trace():
        return ""
    moved = [(found + 1, true + 1) for true, found in enumerate(best.tolist()) if found != true]
    changes = ", ".join(f"{found} is {true}" for found, true in moved[:10])
    return f"other object numbers fit far better ({changes}); scored as they are in the files"
