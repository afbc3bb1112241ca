"""The ten classes: which points of an object's own square belong to it, and how they are patterned.

Coordinates u (right) and v (down) are integers in which an object's radius is `UNIT`, so a class
looks the same at every scale and turn. All of it is integer arithmetic: no machine rounds
differently.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UNIT = 1024
Grid = NDArray[np.int32]
Mask = NDArray[np.bool_]
Color = tuple[int, int, int]


def disc(u: Grid, v: Grid) -> Mask:
    """A full circle."""
    return u * u + v * v <= UNIT * UNIT


def square(u: Grid, v: Grid) -> Mask:
    """A square, a little smaller than the disc across."""
    return np.maximum(np.abs(u), np.abs(v)) <= 840


def triangle(u: Grid, v: Grid) -> Mask:
    """An equilateral triangle that points up."""
    return (v <= 560) & (np.abs(u) * 1584 <= (v + UNIT) * 914)


def cross(u: Grid, v: Grid) -> Mask:
    """Two bars at right angles."""
    across, along = np.abs(u), np.abs(v)
    within: Mask = (np.minimum(across, along) <= 350) & (np.maximum(across, along) <= 980)
    return within


def ring(u: Grid, v: Grid) -> Mask:
    """A circle with a hole, through which the ground is seen."""
    distance = u * u + v * v
    return (distance <= UNIT * UNIT) & (distance >= 470 * 470)


def plain(u: Grid, v: Grid) -> Mask:
    """One color only."""
    return np.zeros(np.broadcast_shapes(u.shape, v.shape), dtype=np.bool_)


def stripes(u: Grid, v: Grid) -> Mask:
    """Straight bands."""
    return (v + 4 * UNIT) % 420 < 210


def checks(u: Grid, v: Grid) -> Mask:
    """A chess board."""
    light: Mask = ((u + 4 * UNIT) // 300 + (v + 4 * UNIT) // 300) % 2 == 0
    return light


def dots(u: Grid, v: Grid) -> Mask:
    """Round spots on a square lattice."""
    across, along = (u + 4 * UNIT) % 460 - 230, (v + 4 * UNIT) % 460 - 230
    spots: Mask = across * across + along * along <= 140 * 140
    return spots


def rays(u: Grid, v: Grid) -> Mask:
    """Sixteen sectors around the center, every other one colored."""
    across, along = np.abs(u), np.abs(v)
    steep = np.minimum(across, along) * UNIT > np.maximum(across, along) * 424  # tan(22.5 degrees)
    return steep ^ (across > along) ^ ((u > 0) ^ (v > 0))


@dataclass(frozen=True, slots=True)
class Kind:
    """One class of things."""

    name: str
    shape: Callable[[Grid, Grid], Mask]
    pattern: Callable[[Grid, Grid], Mask]
    hue: Color  # middle of its colors, as distance from gray


# Each shape wears two patterns, each pattern covers two shapes, each hue belongs to two classes:
# none of them alone names the class, and a hue's colors spread into the others'.
_RED, _GREEN, _BLUE = (50, -30, -30), (-40, 40, -20), (-40, -10, 50)
_YELLOW, _PURPLE = (40, 30, -60), (30, -40, 40)
CLASSES = (
    Kind("plain-disc", disc, plain, _RED),
    Kind("striped-disc", disc, stripes, _GREEN),
    Kind("striped-square", square, stripes, _BLUE),
    Kind("checked-square", square, checks, _YELLOW),
    Kind("checked-triangle", triangle, checks, _PURPLE),
    Kind("dotted-triangle", triangle, dots, _RED),
    Kind("dotted-cross", cross, dots, _GREEN),
    Kind("rayed-cross", cross, rays, _BLUE),
    Kind("rayed-ring", ring, rays, _YELLOW),
    Kind("plain-ring", ring, plain, _PURPLE),
)
CLASS_NAMES = tuple(kind.name for kind in CLASSES)
