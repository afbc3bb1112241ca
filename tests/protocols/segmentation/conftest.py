"""A small data set of index maps: rectangles, each class of a color."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COLORS = {1: (200, 40, 40), 2: (40, 190, 60), 5: (50, 60, 210)}
CLASSES = "classes:\n  0: unlabeled\n  1: brick\n  2: grass\n  5: sky\n"


def write_maps(root: Path, *, train: int = 6, val: int = 3, seed: int = 0) -> Path:
    """Write images of 64 x 80 px; a frame of two pixels is not labeled."""
    generator = np.random.default_rng(seed)
    root.mkdir(parents=True, exist_ok=True)
    (root / "classes.yaml").write_text(CLASSES)
    for split, count in (("training", train), ("validation", val)):
        for number in range(count):
            labels = np.full((64, 80), 1, np.uint8)
            for label in (2, 5):
                top, left = generator.integers(0, (40, 50))
                labels[top : top + 24, left : left + 30] = label
            noise = generator.integers(-20, 20, (64, 80, 3))
            pixels = np.array([COLORS.get(label, (0, 0, 0)) for label in range(6)])[labels]
            labels[[0, 1, -2, -1]] = 0
            labels[:, [0, 1, -2, -1]] = 0
            for part, array, suffix in (
                ("images", np.clip(pixels + noise, 0, 255).astype(np.uint8), "jpg"),
                ("annotations", labels, "png"),
            ):
                folder = root / part / split
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / f"{number}.{suffix}")
    return root


@pytest.fixture(scope="session")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the data set; not to be changed."""
    return write_maps(tmp_path_factory.mktemp("maps"))
