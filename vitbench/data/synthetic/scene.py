"""Things of a scene, the light on them, and how they are painted over a ground and one another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.shapes import CLASSES, UNIT, Color, Grid, Mask

POINT = 64  # positions and radii are counted in 1/64 of a pixel
_SAMPLES = 2  # samples per pixel and axis: edges come out smooth
_TURN_BITS = 12


def sine(degrees: int) -> int:
    """Sine times 4096 by Bhaskara's rational formula: within 0.2 %, and equal everywhere."""
    arc = degrees % 180
    product = arc * (180 - arc)
    value = (4 * product << _TURN_BITS) // (40500 - product)
    return value if degrees % 360 < 180 else -value


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of a scene."""

    kind: int  # index into CLASSES
    x: int  # center, 1/64 pixel
    y: int
    radius: int  # 1/64 pixel
    degrees: int  # turn
    squash: int  # width against height, in 1/1024
    main: Color
    accent: Color


@dataclass(frozen=True, slots=True)
class Light:
    """Brightness: level in the middle, and its change towards the right and bottom edge."""

    level: int  # 256 leaves the colors as they are
    right: int
    down: int


def draw_light(draws: Draws) -> Light:
    """Draw a light that comes from anywhere."""
    return Light(draws.integer(150, 300), draws.integer(-70, 70), draws.integer(-70, 70))


def _draw_colors(draws: Draws, hue: Color) -> tuple[Color, Color]:
    """Draw a color around a hue, and a clearly lighter or darker one."""
    first = [min(255, max(0, 128 + part + draws.integer(-60, 60))) for part in hue]
    shift = draws.integer(90, 130) * (1 if sum(first) < 3 * 128 else -1)
    second = [min(255, max(0, part + shift + draws.integer(-20, 20))) for part in first]
    return (first[0], first[1], first[2]), (second[0], second[1], second[2])


def draw_thing(draws: Draws, kind: int, *, x: int, y: int, radius: int) -> Thing:
    """Draw turn, squash and colors of a thing whose kind and place are given."""
    main, accent = _draw_colors(draws, CLASSES[kind].hue)
    turn, squash = draws.integer(0, 359), draws.integer(740, UNIT)
    return Thing(kind, x, y, radius, turn, squash, main, accent)


def _cover(thing: Thing, height: int, width: int) -> tuple[slice, slice, Mask, Mask] | None:
    """Find the samples a thing covers and those of them that take its accent color."""
    step = POINT // _SAMPLES
    low = [max(0, (place - thing.radius * 3 // 2) // step) for place in (thing.y, thing.x)]
    high = [
        min(size * _SAMPLES, (place + thing.radius * 3 // 2) // step + 1)
        for place, size in ((thing.y, height), (thing.x, width))
    ]
    if low[0] >= high[0] or low[1] >= high[1]:
        return None
    rows, columns = slice(low[0], high[0]), slice(low[1], high[1])
    y = (np.arange(low[0], high[0], dtype=np.int32) * step + step // 2 - thing.y)[:, None]
    x = (np.arange(low[1], high[1], dtype=np.int32) * step + step // 2 - thing.x)[None]
    up, along = sine(thing.degrees), sine(thing.degrees + 90)
    u = (((x * along + y * up) >> _TURN_BITS) * UNIT // thing.radius) * UNIT // thing.squash
    v = ((y * along - x * up) >> _TURN_BITS) * UNIT // thing.radius
    kind = CLASSES[thing.kind]
    return rows, columns, kind.shape(u, v), kind.pattern(u, v)


def paint(
    things: Sequence[Thing], ground: Grid, light: Light, draws: Draws
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Paint things on a ground, later ones over earlier ones.

    Args:
        things: At most 255.
        ground: Colors (H, W, 3).
        light: Brightness over the picture.
        draws: Source of the sensor noise.

    Returns:
        Pixels (H, W, 3), and owners (H, W): 0 is the ground, i + 1 is things[i].
    """
    height, width, _ = ground.shape
    colors = ground.repeat(_SAMPLES, axis=0).repeat(_SAMPLES, axis=1)
    owners = np.zeros((height * _SAMPLES, width * _SAMPLES), dtype=np.uint8)
    for number, thing in enumerate(things, start=1):
        covered = _cover(thing, height, width)
        if covered is None:
            continue
        rows, columns, inside, accented = covered
        owners[rows, columns][inside] = number
        colors[rows, columns][inside & ~accented] = thing.main
        colors[rows, columns][inside & accented] = thing.accent
    samples = colors.reshape(height, _SAMPLES, width, _SAMPLES, 3)
    pixels = samples.sum(axis=(1, 3), dtype=np.int32) // _SAMPLES**2
    return _lit(pixels, light, draws), np.ascontiguousarray(owners[::_SAMPLES, ::_SAMPLES])


def _lit(pixels: Grid, light: Light, draws: Draws) -> NDArray[np.uint8]:
    height, width, _ = pixels.shape
    right = (np.arange(width, dtype=np.int32) * 2 - width) * light.right // width
    down = (np.arange(height, dtype=np.int32) * 2 - height) * light.down // height
    brightness = light.level + right[None] + down[:, None]
    noise = draws.bytes((height, width, 3)).astype(np.int32) // 16 - 8
    lit: Grid = pixels * brightness[..., None] // 256 + noise
    return lit.clip(0, 255).astype(np.uint8)


def draw_things(
    draws: Draws, height: int, width: int, *, count: int, radius: tuple[int, int]
) -> list[Thing]:
    """Draw things of any kind anywhere in a picture, large ones first, so that small ones show."""
    low, high = radius  # pixels
    things = [
        draw_thing(
            draws,
            draws.integer(0, len(CLASSES) - 1),
            x=draws.integer(0, width * POINT),
            y=draws.integer(0, height * POINT),
            radius=draws.integer(low * POINT, high * POINT),
        )
        for _ in range(count)
    ]
    return sorted(things, key=lambda thing: -thing.radius)
