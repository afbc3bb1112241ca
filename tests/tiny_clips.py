"""Small videos in DAVIS layout: colored squares that move over a striped ground."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 48, 64
COLORS = ((200, 30, 30), (30, 200, 30))

Pixels = NDArray[np.uint8]


def label_map(frame: int, *, objects: int = 2, still: bool = False) -> Pixels:
    """Return the label map of a frame: a square an object, one pixel further in each frame."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    shift = 0 if still else frame
    for number in range(objects):
        top, left = 6 + 20 * number, 8 + 24 * number + shift
        labels[top : top + 16, left : left + 16] = number + 1
    return labels


def picture(labels: Pixels) -> Pixels:
    """Return the RGB frame that shows a label map."""
    pixels = np.full((*labels.shape, 3), 90, np.uint8)
    pixels[::4] = 110
    for number, color in enumerate(COLORS, start=1):
        pixels[labels == number] = color
    return pixels


def write_labels(labels: Pixels, path: Path) -> None:
    """Write a label map as a palette PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(labels)
    image.putpalette(bytes(range(256)) * 3)
    image.save(path)


def write_clip(root: Path, name: str, masks: list[Pixels], *, year: str = "2017") -> None:
    """Add a clip to a DAVIS folder: its frames, its masks, its line in the list of `val`."""
    frames = root / "JPEGImages" / "480p" / name
    frames.mkdir(parents=True)
    for index, labels in enumerate(masks):
        # PNG content under DAVIS's name: pixels come back as they are
        Image.fromarray(picture(labels)).save(frames / f"{index:05d}.jpg", format="PNG")
        write_labels(labels, root / "Annotations" / "480p" / name / f"{index:05d}.png")
    listed = root / "ImageSets" / year / "val.txt"
    listed.parent.mkdir(parents=True, exist_ok=True)
    with listed.open("a") as stream:
        stream.write(f"{name}\n")


def write_davis(root: Path, *, frames: int = 5) -> Path:
    """Write two clips: `duo` with two moving objects, `solo` with one that stands still."""
    write_clip(root, "duo", [label_map(index) for index in range(frames)])
    still = [label_map(index, objects=1, still=True) for index in range(frames)]
    write_clip(root, "solo", still)
    return root
