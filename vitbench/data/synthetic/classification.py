"""The classification view: folders `train|val/<class>/*.png`, one thing in each picture."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import paint_ground
from vitbench.data.synthetic.png import write_png
from vitbench.data.synthetic.scene import POINT, draw_light, draw_thing, paint
from vitbench.data.synthetic.shapes import CLASSES

SIDE = 64  # pixels
PER_CLASS = {"train": 150, "val": 50}
PICTURES = len(CLASSES) * sum(PER_CLASS.values())
_VIEW = 1


def draw_picture(split: str, kind: int, number: int) -> NDArray[np.uint8]:
    """Draw one picture, (SIDE, SIDE, 3): a number of a split and class."""
    draws = Draws(_VIEW, list(PER_CLASS).index(split), kind, number)
    ground, _ = paint_ground(draws, SIDE, SIDE)
    thing = draw_thing(
        draws,
        kind,
        x=draws.integer(22 * POINT, 42 * POINT),
        y=draws.integer(22 * POINT, 42 * POINT),
        radius=draws.integer(17 * POINT, 29 * POINT),
    )
    return paint([thing], ground, draw_light(draws), draws)[0]


def write_classification(root: Path) -> Iterator[None]:
    """Write the folders, and yield after each picture."""
    for split, count in PER_CLASS.items():
        for number in range(count):
            for kind, facts in enumerate(CLASSES):
                pixels = draw_picture(split, kind, number)
                write_png(root / split / facts.name / f"{number:04}.png", pixels)
                yield
