"""A mask as COCO writes it: polygons along its pixels' edges, or run lengths."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Point = tuple[int, int]  # (x, y), corner of a pixel


def run_lengths(mask: Mask) -> dict[str, list[int]]:
    """Return COCO's uncompressed run lengths: down the columns, zeros first."""
    flat = mask.T.reshape(-1)
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff([0, *changes, flat.size]).tolist()
    return {"counts": [0, *counts] if flat[0] else counts, "size": list(mask.shape)}


def polygons(mask: Mask) -> list[list[int]] | None:
    """Return the outlines of a mask as COCO's flat x, y lists, or None if it has a hole.

    Pixels that touch at a corner only belong to two polygons.
    """
    steps = _steps(mask)
    found = []
    while steps:
        loop = _walk(steps, next(iter(steps)))
        if _doubled_area(loop) < 0:  # outlines go clockwise, the edges of holes the other way
            return None
        found.append([value for point in _corners(loop) for value in point])
    return found


def _steps(mask: Mask) -> dict[Point, list[Point]]:
    """Map each corner to the directions in which an edge leaves it, the mask on its right."""
    padded = np.pad(mask, 1)
    sides = (  # neighbor outside the mask, corner the edge starts at, direction
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (0, 1)),
        (padded[2:, 1:-1], (1, 1), (-1, 0)),
        (padded[1:-1, :-2], (0, 1), (0, -1)),
    )
    steps: dict[Point, list[Point]] = {}
    for neighbor, (right, down), direction in sides:
        for y, x in np.argwhere(mask & ~neighbor).tolist():
            steps.setdefault((x + right, y + down), []).append(direction)
    return steps


def _walk(steps: dict[Point, list[Point]], start: Point) -> list[Point]:
    """Follow edges from a corner until it is reached again, and take them out of `steps`."""
    loop, (dx, dy) = [start], steps[start][0]
    while True:
        x, y = loop[-1]
        choices = steps[x, y]
        direction = (-dy, dx) if (-dy, dx) in choices else choices[0]  # right turn first
        choices.remove(direction)
        if not choices:
            del steps[x, y]
        dx, dy = direction
        loop.append((x + dx, y + dy))
        if loop[-1] == start:
            return loop


def _doubled_area(loop: list[Point]) -> int:
    return sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in pairwise(loop))


def _corners(loop: list[Point]) -> list[Point]:
    """Keep the points where a closed loop turns."""
    before = [loop[-2], *loop[:-2]]
    after = loop[1:]
    return [
        point
        for last, point, following in zip(before, loop[:-1], after, strict=True)
        if (point[0] - last[0], point[1] - last[1])
        != (following[0] - point[0], following[1] - point[1])
    ]
