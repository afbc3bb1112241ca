"""The ground of a scene: two textured surfaces that meet at a wavy border."""

import numpy as np
from numpy.typing import NDArray

from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.shapes import Grid

GROUND_NAMES = ("grain", "waves", "weave")


def smooth_noise(draws: Draws, height: int, width: int, cell: int) -> Grid:
    """Value noise from 0 to 255 that varies over `cell` pixels, shape (height, width)."""
    lattice = draws.integers(0, 255, (height // cell + 2, width // cell + 2))
    y, x = np.arange(height, dtype=np.int32), np.arange(width, dtype=np.int32)
    top, left = (y // cell)[:, None], (x // cell)[None]
    down, right = (y % cell)[:, None], (x % cell)[None]
    above = lattice[top, left] * (cell - right) + lattice[top, left + 1] * right
    below = lattice[top + 1, left] * (cell - right) + lattice[top + 1, left + 1] * right
    return ((above * (cell - down) + below * down) // (cell * cell)).astype(np.int32)


def _texture(draws: Draws, kind: int, height: int, width: int) -> Grid:
    """Texture of one ground, -128 to 127: fine grain, bent waves or a weave of two directions."""
    bend = smooth_noise(draws, height, width, 12)
    if kind == 0:
        return smooth_noise(draws, height, width, draws.integer(2, 4)) // 2 + bend // 2 - 128
    y, x = np.mgrid[:height, :width].astype(np.int32)
    across, along = draws.integer(-9, 9), draws.choice((7, 8, 9, -7, -8, -9))
    if kind == 1:
        phase = (x * across * 3 + y * along * 3 + bend // 2) % 256
        bent: Grid = np.abs(phase - 128) * 2 - 128
        return bent
    first, second = (x * across + y * along) * 3 % 256, (x * along - y * across) * 3 % 256
    woven: Grid = (np.abs(first - 128) + np.abs(second - 128)) // 2 + bend // 2 - 128
    return woven


def paint_ground(draws: Draws, height: int, width: int) -> tuple[Grid, NDArray[np.uint8]]:
    """Paint two kinds of ground that meet at a wavy border.

    Returns:
        Colors (height, width, 3), not limited to 0..255 yet, and the index of the ground's name
        (height, width).
    """
    first, second = draws.integer(0, 2), draws.integer(0, 1)
    kinds = (first, (first + 1 + second) % 3)
    y, x = np.mgrid[:height, :width].astype(np.int32)
    slope_x, slope_y = draws.integer(-8, 8), draws.choice((-8, -6, 6, 8))
    wave = smooth_noise(draws, height, width, 24) - 128
    offset = draws.integer(-4, 4) * height // 16
    beyond = ((x - width // 2) * slope_x + (y - height // 2 - offset) * slope_y) * 8 + wave > 0
    colors = np.empty((height, width, 3), dtype=np.int32)
    for side, kind in zip((beyond, ~beyond), kinds, strict=True):
        level = draws.integer(70, 180)
        base = level + draws.integers(-24, 24, (3,))
        tint = draws.integers(14, 44, (3,))
        texture = _texture(draws, kind, height, width)
        colors[side] = (base + texture[..., None] * tint // 128)[side]
    return colors, np.where(beyond, kinds[0], kinds[1]).astype(np.uint8)
