"""The semantic view: ADE20K's folders `images|annotations/training|validation`, `classes.txt`.

Index 0 is unlabeled (a frame of two pixels), then come the classes, then the kinds of ground.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.ground import GROUND_NAMES, paint_ground
from vitbench.data.synthetic.png import write_png
from vitbench.data.synthetic.scene import draw_light, draw_things, paint
from vitbench.data.synthetic.shapes import CLASS_NAMES

HEIGHT, WIDTH = 96, 128  # pixels
COUNTS = {"training": 96, "validation": 32}
PICTURES = sum(COUNTS.values())
LABEL_NAMES = ("unlabeled", *CLASS_NAMES, *GROUND_NAMES)
_FRAME = 2  # pixels at the border without a label
_VIEW = 3


def write_semantic(root: Path) -> Iterator[None]:
    """Write images and index maps, and yield after each picture."""
    names = "".join(f"{name}\n" for name in LABEL_NAMES[1:])
    (root / "classes.txt").write_text(names, encoding="utf-8")
    for part, (split, count) in enumerate(COUNTS.items()):
        for number in range(count):
            draws = Draws(_VIEW, part, number)
            ground, kinds = paint_ground(draws, HEIGHT, WIDTH)
            things = draw_things(draws, HEIGHT, WIDTH, count=draws.integer(2, 5), radius=(14, 30))
            pixels, owners = paint(things, ground, draw_light(draws), draws)
            by_owner = np.array([0, *(thing.kind + 1 for thing in things)], dtype=np.uint8)
            labels = np.where(owners > 0, by_owner[owners], kinds + np.uint8(len(CLASS_NAMES) + 1))
            inner = np.zeros_like(labels)
            middle = slice(_FRAME, -_FRAME)
            inner[middle, middle] = labels[middle, middle]
            name = f"ADE_{'train' if split == 'training' else 'val'}_{number + 1:08}.png"
            write_png(root / "images" / split / name, pixels)
            write_png(root / "annotations" / split / name, inner)
            yield
