"""Pictures of a backbone's health: curves as SVG, norms of patches as images, blocks as a table."""

import csv
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vitbench.kit import atomic

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 520, 300, 60, 40, 34  # px
PICTURE_PX = 224
SHOWN = 8  # images whose norms are drawn

Curve = NDArray[np.float64]


def write_curve(path: Path, title: str, words: tuple[str, str], x: Curve, y: Curve) -> None:
    """Draw one curve with its axes as SVG.

    Args:
        path: The file.
        title: Above the curve.
        words: Under the horizontal axis and beside the vertical one.
        x: Where the points lie, (n,), rising.
        y: Their values, (n,).
    """
    low, high = float(min(y.min(), 0)), float(max(y.max(), y.min() + 1e-9))
    span = max(float(x[-1] - x[0]), 1e-9)
    right, floor = WIDTH - 16, HEIGHT - BOTTOM
    points = " ".join(
        f"{LEFT + (right - LEFT) * (a - x[0]) / span:.1f},"
        f"{floor - (floor - TOP) * (b - low) / (high - low):.1f}"
        for a, b in zip(x, y, strict=True)
    )
    marks = [(LEFT - 6, floor, f"{low:.3g}", "end"), (LEFT - 6, TOP + 4, f"{high:.3g}", "end")]
    marks += [(LEFT, floor + 16, f"{x[0]:.3g}", "middle")]
    marks += [(right, floor + 16, f"{x[-1]:.3g}", "end")]
    marks += [((LEFT + right) // 2, HEIGHT - 8, words[0], "middle")]
    marks += [(LEFT, TOP - 18, f"{title}: {words[1]}", "start")]
    texts = "".join(
        f'<text x="{a}" y="{b}" text-anchor="{anchor}">{html.escape(text)}</text>'
        for a, b, text, anchor in marks
    )
    _write(
        path,
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<path d="M{LEFT} {TOP}V{floor}H{right}" fill="none" stroke="#888"/>'
        f'<polyline points="{points}" fill="none" stroke="#2563a8" stroke-width="2"/>'
        f"{texts}</svg>",
    )


def write_table(path: Path, columns: Mapping[str, Sequence[float]]) -> None:
    """Write the statistics of each block as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["block", *columns])
        for block, values in enumerate(zip(*columns.values(), strict=True), start=1):
            writer.writerow([block, *(f"{value:.4f}" for value in values)])


def write_norms(
    folder: Path, norms: Tensor, threshold: float, ids: Sequence[str]
) -> dict[str, Path]:
    """Draw the norms of patches (n, h, w) of the images with most artifacts; white: the threshold.

    Artifacts themselves are red.
    """
    above = (norms > threshold).flatten(1).sum(dim=1)
    order = above.sort(descending=True, stable=True).indices[:SHOWN].tolist()
    written = {}
    folder.mkdir(parents=True, exist_ok=True)
    for number in order:
        gray = (norms[number] / threshold).clamp(max=1).mul(255).round().byte().numpy()
        colors = np.repeat(gray[..., None], 3, axis=2)
        colors[(norms[number] > threshold).numpy()] = (214, 40, 40)
        path = folder / f"norms-{number:04d}.png"
        picture = Image.fromarray(colors).resize((PICTURE_PX,) * 2, Image.Resampling.NEAREST)
        with atomic(path) as temporary:
            picture.save(temporary, "PNG")
        written[f"norms {ids[number]}"] = path
    return written


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
