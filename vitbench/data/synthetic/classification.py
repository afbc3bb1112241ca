"""The classification view: folders `train|val/<class>/*.png`, one thing in each picture."""

from collections.abc import Iterator
from pathlib import Path

from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import paint_ground
from vitbench.data.synthetic.png import write_png
from vitbench.data.synthetic.scene import POINT, draw_light, draw_thing, paint
from vitbench.data.synthetic.shapes import CLASSES

SIDE = 64  # pixels
PER_CLASS = {"train": 150, "val": 50}
PICTURES = len(CLASSES) * sum(PER_CLASS.values())
_VIEW = 1


def write_classification(root: Path) -> Iterator[None]:
    """Write the folders, and yield after each picture."""
    for part, (split, count) in enumerate(PER_CLASS.items()):
        for number in range(count):
            for kind, facts in enumerate(CLASSES):
                draws = Draws(_VIEW, part, kind, number)
                ground, _ = paint_ground(draws, SIDE, SIDE)
                thing = draw_thing(
                    draws,
                    kind,
                    x=draws.integer(22 * POINT, 42 * POINT),
                    y=draws.integer(22 * POINT, 42 * POINT),
                    radius=draws.integer(17 * POINT, 29 * POINT),
                )
                pixels, _ = paint([thing], ground, draw_light(draws), draws)
                write_png(root / split / facts.name / f"{number:04}.png", pixels)
                yield
