"""COCO's matching of detections to objects, from their IoUs, at ten thresholds at once."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = np.linspace(0.5, 0.95, 10)
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Matched:
    """What became of the detections of one image and category, best score first."""

    matched: Flags  # (d, 10): found an object
    ignored: Flags  # (d, 10): counts neither as right nor as wrong


def match(ious: NDArray[np.float64], ignored: Flags, crowd: Flags) -> Matched:
    """Give every detection the free object with which its IoU is largest, best score first.

    An ignored object is taken only where no other is left; a crowd can be taken again and again.

    Args:
        ious: (d, g), detections in the order of their scores, objects in the file's order.
        ignored: (g,) objects that need not be found.
        crowd: (g,) objects that stand for many.

    Source:
        cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py, evaluateImg: of equal IoUs the
        last object wins.
    """
    count, objects = ious.shape
    limits = np.minimum(THRESHOLDS, 1 - 1e-10)
    levels = np.arange(len(limits))
    taken = np.zeros((len(limits), objects), bool)
    found = np.zeros((count, len(limits)), bool)
    set_aside = np.zeros((count, len(limits)), bool)
    for place in range(count if objects else 0):
        row = ious[place]
        possible = (row >= limits[:, None]) & (~taken | crowd)
        proper = possible & ~ignored
        possible = np.where(proper.any(axis=1)[:, None], proper, possible)
        best = objects - 1 - np.where(possible, row, -1.0)[:, ::-1].argmax(axis=1)
        hit = possible[levels, best]
        taken[levels[hit], best[hit]] = True
        found[place], set_aside[place] = hit, hit & ignored[best]
    return Matched(found, set_aside)
