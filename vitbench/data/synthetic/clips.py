"""The clips view in DAVIS's layout: `JPEGImages/480p Annotations/480p ImageSets/2017/val.txt`.

Frames are PNG files, because JPEG decoders differ between machines: a reader takes the files that
lie in a clip's folder, whatever they end in. They have 128 x 192 pixels in spite of the folder's
name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitbench.data.clips import palette
from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import paint_ground
from vitbench.data.synthetic.png import write_png
from vitbench.data.synthetic.scene import (
    POINT,
    Light,
    Thing,
    draw_light,
    draw_thing,
    paint,
    sine,
)
from vitbench.data.synthetic.shapes import CLASSES

HEIGHT, WIDTH, FRAMES = 128, 192, 12
CLIPS = {"one-alone": 1, "two-meet": 2, "three-one-leaves": 3, "four-crowded": 4}
PICTURES = FRAMES * len(CLIPS)
_LEAVER = "three-one-leaves"
_MARGIN = 32  # pixels of ground around the picture, into which the camera moves
_VIEW = 4


@dataclass(frozen=True, slots=True)
class Motion:
    """Where a thing goes: steps a frame, and how it swings around its path."""

    right: int  # 1/64 pixel a frame
    down: int
    turn: int  # degrees a frame
    growth: int  # 1/1024 of the radius a frame
    swing: int  # 1/64 pixel
    phase: int  # degrees

    def at(self, thing: Thing, frame: int) -> Thing:
        """Move a thing to where it is in a frame."""
        swing = self.swing * (sine(self.phase + 24 * frame) - sine(self.phase)) // 4096
        return replace(
            thing,
            x=thing.x + self.right * frame + swing,
            y=thing.y + self.down * frame + swing // 2,
            degrees=thing.degrees + self.turn * frame,
            radius=thing.radius + thing.radius * self.growth * frame // 1024,
        )


def write_clips(root: Path) -> Iterator[None]:
    """Write frames, masks and the list of clips, and yield after each frame."""
    colors = palette()
    for number, (clip, count) in enumerate(CLIPS.items()):
        frames = _frames(Draws(_VIEW, number), count, leaves=clip == _LEAVER)
        for frame, (pixels, owners) in enumerate(frames):
            name = f"{clip}/{frame:05}.png"
            write_png(root / "JPEGImages" / "480p" / name, pixels)
            write_png(root / "Annotations" / "480p" / name, owners, colors)
            yield
    listing = root / "ImageSets" / "2017" / "val.txt"
    listing.parent.mkdir(parents=True)
    listing.write_text("".join(f"{clip}\n" for clip in CLIPS), encoding="utf-8")


def _frames(
    draws: Draws, count: int, *, leaves: bool
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    ground, _ = paint_ground(draws, HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN)
    things = [_place(draws, slot, count) for slot in range(count)]
    motions = [_motion(draws, 1 if thing.x < WIDTH * POINT // 2 else -1) for thing in things]
    if leaves:
        things[-1] = replace(things[-1], x=(WIDTH - 30) * POINT)
        motions[-1] = replace(motions[-1], right=8 * POINT, growth=0)
    light, pan = draw_light(draws), (draws.integer(-2, 2), draws.integer(-2, 2))
    for frame in range(FRAMES):
        top, left = _MARGIN + pan[0] * frame, _MARGIN + pan[1] * frame
        seen = ground[top : top + HEIGHT, left : left + WIDTH]
        moved = [motion.at(thing, frame) for thing, motion in zip(things, motions, strict=True)]
        lit = Light(light.level + 40 * sine(30 * frame) // 4096, light.right, light.down)
        yield paint(moved, seen, lit, draws)


def _place(draws: Draws, slot: int, count: int) -> Thing:
    """Draw a thing in its own part of the picture, so that all are seen in the first frame."""
    center = WIDTH * (2 * slot + 1) // (2 * count)
    return draw_thing(
        draws,
        draws.integer(0, len(CLASSES) - 1),
        x=(center + draws.integer(-8, 8)) * POINT,
        y=draws.integer(40, HEIGHT - 40) * POINT,
        radius=draws.integer(20 * POINT, 30 * POINT),
    )


def _motion(draws: Draws, inwards: int) -> Motion:
    return Motion(
        right=draws.integer(80, 280) * inwards,
        down=draws.integer(-140, 140),
        turn=draws.integer(-8, 8),
        growth=draws.integer(-18, 18),
        swing=draws.integer(0, 8 * POINT),
        phase=draws.integer(0, 359),
    )
