"""Pictures of a run: the histogram of counts, and images with their patches' positives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vitbench.api import Context
from vitbench.kit import (
    STEPS,
    Geometry,
    LabeledDataset,
    PositiveRule,
    atomic,
    safe_name,
)
from vitbench_protocols.adjacency.truth import Bools, Truth

OVERLAY_PX = 896  # about; a whole multiple of the patches
HIT, MISS, FALSE, GRID = (70, 230, 90), (255, 190, 30), (255, 60, 60), (255, 255, 255)
LEGEND = {HIT: "chosen, positive", MISS: "positive, not chosen", FALSE: "chosen, no positive"}
REACH = 0.42  # of the way to the neighbor that a patch's line takes
LEGEND_PX = 26
FAST = 1  # of zlib: a third of the default's time, a sixth more bytes

Whole = NDArray[np.integer[Any]]


def draw_histogram(counted: Mapping[str, tuple[Whole, NDArray[np.float64]]], path: Path) -> Path:
    """Draw how often patches have 0 to 8 positives, and how their means spread over images.

    Args:
        counted: What is drawn, by its name: counts of patches (any shape), means of images (n,).
        path: The SVG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), layout="constrained")
    patches, images = figure.subplots(1, 2)
    width = 0.8 / len(counted)
    for number, (name, (counts, means)) in enumerate(counted.items()):
        share = 100 * np.bincount(counts.ravel(), minlength=9) / max(counts.size, 1)
        patches.bar(np.arange(9) + (number - (len(counted) - 1) / 2) * width, share, width)
        label = f"{name}: {np.nanmean(means):.2f} ± {np.nanstd(means):.2f}"
        images.hist(means[~np.isnan(means)], bins=np.linspace(0, 8, 33), alpha=0.7, label=label)
    patches.set(xlabel="positives among a patch's neighbors", ylabel="% of patches")
    patches.set_xticks(range(9))
    images.set(xlabel="an image's mean", ylabel="images")
    images.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as part:
        figure.savefig(part, format="svg", metadata={"Date": None})
    return path


def draw_overlays(
    reading: PositiveRule,
    number: int,
    truth: Truth,
    values: NDArray[np.float64],
    dataset: LabeledDataset,
    context: Context,
    chosen: Bools | None = None,
) -> dict[str, Path]:
    """Draw images from the lowest value to the highest, with the positives of each patch.

    Args:
        reading: How images are placed.
        number: How many are drawn at most.
        truth: The ground truth.
        values: A value of each image, (n,), to choose by and to name the file by.
        dataset: Gives the images.
        context: Says where the files go.
        chosen: The neighbors that features chose, (n, 8, h, w).

    Returns:
        The pictures' names and files; none where an image file is missing.
    """
    defined = np.flatnonzero(~np.isnan(values))
    ranked = defined[np.argsort(values[defined], kind="stable")]
    wanted = min(number, len(ranked))
    picked = ranked[np.linspace(0, len(ranked) - 1, wanted).round().astype(int)]
    missing = [row for row in picked if not dataset.files[truth.indices[row]].is_file()]
    if missing:
        context.note("no overlays: the images are not there")
        return {}
    drawn = {}
    for rank, row in enumerate(picked.tolist()):
        image = dataset[int(truth.indices[row])].image
        placed = Geometry(reading.geometry, reading.image_px).apply(image, Image.Resampling.BICUBIC)
        picture = draw_overlay(
            placed, truth.positive[row], truth.counted[row], None if chosen is None else chosen[row]
        )
        stem = safe_name(Path(str(truth.ids[row])).stem)
        path = context.output / f"overlay-{rank + 1:02}-{stem}-{values[row]:.2f}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:
            picture.save(part, format="PNG", compress_level=FAST)
        drawn[f"overlay {truth.ids[row]}"] = path
    return drawn


def draw_overlay(
    image: Image.Image, positive: Bools, counted: Bools, chosen: Bools | None = None
) -> Image.Image:
    """Draw the grid of patches, each with its number of positives and lines to neighbors.

    Args:
        image: The square image.
        positive: The positives of the ground truth, (8, h, w).
        counted: The patches that are counted, (h, w).
        chosen: The neighbors that features chose, (8, h, w); without them, lines lead to
            the positives.
    """
    _, h, w = positive.shape
    cell = max(1, round(OVERLAY_PX / h))
    size = (w * cell, h * cell)
    picture = Image.new("RGB", (size[0], size[1] + LEGEND_PX))
    picture.paste(Image.blend(image.resize(size), Image.new("RGB", size), 0.35))
    draw = ImageDraw.Draw(picture, "RGBA")
    for line in range(h + 1):
        draw.line([(0, line * cell), (size[0], line * cell)], fill=(*GRID, 60))
        draw.line([(line * cell, 0), (line * cell, size[1])], fill=(*GRID, 60))
    found = positive if chosen is None else chosen
    for number, row, column in np.argwhere((positive | found) & counted).tolist():
        true, taken = positive[number, row, column], found[number, row, column]
        color = HIT if true and taken else MISS if true else FALSE
        down, right = STEPS[number]
        x, y = (column + 0.5) * cell, (row + 0.5) * cell
        start = (x + 0.2 * right * cell, y + 0.2 * down * cell)
        end = (x + REACH * right * cell, y + REACH * down * cell)
        draw.line([start, end], fill=(*color, 255), width=max(1, cell // 20))
    font = ImageFont.load_default(size=max(8, cell // 4))
    counts = np.count_nonzero(positive, axis=0)
    for row, column in np.argwhere(counted).tolist():
        place = ((column + 0.5) * cell, (row + 0.5) * cell)
        draw.text(place, str(counts[row, column]), GRID, font, "mm", stroke_width=1,
                  stroke_fill=(0, 0, 0))  # fmt: skip
    _draw_legend(draw, size[1], LEGEND if chosen is not None else {HIT: "positive"})
    return picture


def _draw_legend(
    draw: ImageDraw.ImageDraw, top: int, entries: Mapping[tuple[int, int, int], str]
) -> None:
    font, x = ImageFont.load_default(size=15), 10
    for color, text in entries.items():
        draw.line([(x, top + 13), (x + 22, top + 13)], fill=color, width=4)
        draw.text((x + 30, top + 13), text, GRID, font, "lm")
        x += 60 + int(draw.textlength(text, font))
    draw.text((x, top + 13), "number: positives in the ground truth", GRID, font, "lm")
