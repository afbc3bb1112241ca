"""Pictures of what was detected: image, truth and prediction, side by side."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vitbench.kit import (
    Instances,
    Pixels,
    atomic,
    decode_mask,
    palette,
)
from vitbench_protocols.detection.results import Detected, runs_of
from vitbench_protocols.detection.truth import Truth

HEIGHT, WIDEST, LINE, GAP = 260, 520, 20, 6  # px
FEWEST = 3  # detections that are drawn, however few objects there are
TINT = 0.45  # of a mask's color over the image


@dataclass(frozen=True, slots=True)
class Shown:
    """One row of a sheet."""

    title: str
    image: Pixels
    truth: Instances
    detections: Sequence[Detected]  # of this image


@dataclass(frozen=True, slots=True)
class _Thing:
    """An object or a detection, to be drawn."""

    text: str
    category: int
    box: tuple[float, float, float, float]  # left, top, width, height in px of the image
    mask: NDArray[np.uint8] | None  # (H, W)


def write_sheet(rows: Sequence[Shown], truth: Truth, path: Path) -> None:
    """Write rows of pictures, one below the other, as a PNG.

    Of the detections those with the best scores are drawn, as many as there are objects.
    """
    drawn = [_row(row, truth) for row in rows]
    sheet = Image.new(
        "RGB", (max(part.width for part in drawn), sum(part.height for part in drawn)), "white"
    )
    top = 0
    for part in drawn:
        sheet.paste(part, (0, top))
        top += part.height
    with atomic(path) as temporary:
        sheet.save(temporary, format="PNG")


def _row(row: Shown, truth: Truth) -> Image.Image:
    best = sorted(row.detections, key=lambda one: -one.score)
    best = best[: max(FEWEST, len(row.truth.items))]
    panels = {
        "image": _panel(row.image, []),
        "truth": _panel(row.image, list(_objects(row.truth, truth))),
        "prediction": _panel(row.image, list(_detected(best, truth))),
    }
    step = panels["image"].width + GAP
    whole = Image.new("RGB", (3 * step, 2 * LINE + HEIGHT + GAP), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(size=13)
    draw.text((2, 3), row.title, fill="black", font=font)
    for place, (name, panel) in enumerate(panels.items()):
        draw.text((place * step + 2, LINE), name, fill="black", font=font)
        whole.paste(panel, (place * step, 2 * LINE))
    return whole


def _objects(image: Instances, truth: Truth) -> Iterator[_Thing]:
    for one in image.items:
        category = one.category - truth.shift
        name = truth.categories[category] + (" (crowd)" if one.crowd else "")
        yield _Thing(name, category, one.box, decode_mask(one, image.height, image.width))


def _detected(detections: Sequence[Detected], truth: Truth) -> Iterator[_Thing]:
    from pycocotools import mask as coco_mask

    for one in detections:
        runs = None if one.segmentation is None else runs_of(one, truth)
        box: Any = coco_mask.toBbox(runs).tolist() if one.bbox is None else one.bbox
        text = f"{truth.categories[one.category_id]} {one.score:.2f}"
        mask = None if runs is None else coco_mask.decode(runs)
        yield _Thing(text, one.category_id, box, mask)


def _panel(image: Pixels, things: Sequence[_Thing]) -> Image.Image:
    colors = palette()
    pixels = image.astype(np.float32)
    for thing in things:
        if thing.mask is not None:
            inside = thing.mask > 0
            color = colors[1 + thing.category % 254]
            pixels[inside] = (1 - TINT) * pixels[inside] + TINT * color
    scale = min(HEIGHT / image.shape[0], WIDEST / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    panel = Image.fromarray(pixels.astype(np.uint8)).resize((width, height))
    draw, font = ImageDraw.Draw(panel), ImageFont.load_default(size=11)
    for thing in things:
        left, top, wide, high = (number * scale for number in thing.box)
        color = tuple(int(value) for value in colors[1 + thing.category % 254])
        draw.rectangle((left, top, left + wide, top + high), outline=color, width=2)
        draw.text((left + 3, top + 2), thing.text, fill="white", font=font, stroke_width=1,
                  stroke_fill="black")  # fmt: skip
    return panel
