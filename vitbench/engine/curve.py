"""One curve beside a record, as SVG."""

import html
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitbench.records import atomic

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 520, 300, 60, 40, 34  # px

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
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>'
        f'<path d="M{LEFT} {TOP}V{floor}H{right}" fill="none" stroke="#888"/>'
        f'<polyline points="{points}" fill="none" stroke="#2563a8" stroke-width="2"/>'
        f"{texts}</svg>"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
