"""Pictures of what was predicted: image, truth, prediction and difference, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vitbench.kit import Pixels, atomic
from vitbench_protocols.segmentation.classes import NONE, Classes, Indices

HEIGHT, LINE, LEGEND, GAP = 220, 20, 190, 6  # px
NAMED = 9  # classes in the legend of a picture
WRONG, RIGHT = (226, 44, 44), (52, 150, 84)


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a sheet."""

    title: str
    image: Pixels
    truth: Indices
    predicted: Indices


def write_sheet(rows: Sequence[Shown], classes: Classes, path: Path) -> None:
    """Write rows of pictures, one below the other, as a PNG."""
    drawn = [_row(row, classes) for row in rows]
    width = max(part.width for part in drawn)
    sheet = Image.new("RGB", (width, sum(part.height for part in drawn)), "white")
    top = 0
    for part in drawn:
        sheet.paste(part, (0, top))
        top += part.height
    with atomic(path) as temporary:
        sheet.save(temporary, format="PNG")


def _row(row: Shown, classes: Classes) -> Image.Image:
    colors = classes.colors()
    panels = [
        Image.fromarray(pixels).resize(
            (round(HEIGHT * row.image.shape[1] / row.image.shape[0]), HEIGHT)
        )
        for pixels in (
            row.image,
            colors[row.truth],
            colors[row.predicted],
            difference(row.image, row.truth, row.predicted),
        )
    ]
    step = panels[0].width + GAP
    whole = Image.new("RGB", (4 * step + LEGEND, 2 * LINE + HEIGHT + GAP), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=13)
    draw.text((2, 3), row.title, fill="black", font=font)
    names = ("image", "truth", "prediction", "right, wrong")
    for place, (name, panel) in enumerate(zip(names, panels, strict=True)):
        draw.text((place * step + 2, LINE), name, fill="black", font=font)
        whole.paste(panel, (place * step, 2 * LINE))
    for line, index in enumerate(_largest(row)):
        top = 2 * LINE + line * (HEIGHT // NAMED)
        color = tuple(int(value) for value in colors[index])
        draw.rectangle((4 * step, top, 4 * step + 16, top + 16), fill=color)
        draw.text((4 * step + 22, top), classes.names[index][:24], fill="black", font=font)
    return whole


def difference(image: Pixels, truth: Indices, predicted: Indices) -> NDArray[np.uint8]:
    """Return the image in gray, wrong pixels red, right ones green, unlabeled ones dark."""
    gray = image.mean(axis=2, keepdims=True)
    known, wrong = truth != NONE, (truth != NONE) & (truth != predicted)
    tint = np.where(wrong[..., None], WRONG, RIGHT)
    mixed: NDArray[np.float64] = np.where(known[..., None], 0.45 * gray + 0.55 * tint, 0.25 * gray)
    return mixed.astype(np.uint8)


def _largest(row: Shown) -> list[int]:
    """Return the classes that fill most of truth and prediction together."""
    seen = np.concatenate([row.truth.ravel(), row.predicted.ravel()])
    counts = np.bincount(seen[seen != NONE])
    ranked = np.argsort(-counts, kind="stable")[:NAMED]
    return [int(index) for index in ranked if counts[index]]
