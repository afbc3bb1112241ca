"""Charts as inline SVG: their colors and letters come from the page's style sheet."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from markupsafe import escape as escape_html

from vitbench.reports import escape

WIDE, HIGH = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 40


@dataclass(frozen=True, slots=True)
class Dot:
    """One run in a scatter."""

    name: str
    x: float
    y: float
    note: str  # what a pointer that rests on it is told


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and what it shows."""

    title: str
    drawing: Markup


@dataclass(frozen=True, slots=True)
class Curve:
    """One line of a chart."""

    name: str
    points: Sequence[tuple[float, float]]


def scatter(dots: Sequence[Dot], colors: Mapping[str, int], x_label: str, y_label: str) -> Chart:
    """Draw runs by cost (logarithmic) and score."""
    xs = [math.log10(dot.x) for dot in dots]
    to_x, to_y = _scale(xs, LEFT, WIDE - RIGHT), _scale([d.y for d in dots], HIGH - BOTTOM, TOP)
    parts = _frame(x_label, _ticks([d.y for d in dots]), to_y)
    parts += [_x_tick(to_x(math.log10(tick)), f"{tick:.3g}") for tick in _log_ticks(xs)]
    for dot, x in zip(dots, xs, strict=True):
        parts.append(
            Markup(
                '<circle class="dot {}" cx="{}" cy="{}" r="6"><title>{}</title></circle>'
            ).format(color(dot.name, colors), to_x(x), to_y(dot.y), escape.plain(dot.note))
        )
    title = f"{escape.plain(y_label, 40)} against {x_label}"
    return Chart(title, _svg(WIDE, HIGH, title, parts))


def curves(lines: Sequence[Curve], colors: Mapping[str, int], x_label: str, y_label: str) -> Chart:
    """Draw a value over steps or epochs, one line a run."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    to_x, to_y = _scale(xs, LEFT, WIDE - RIGHT), _scale(ys, HIGH - BOTTOM, TOP)
    parts = _frame(x_label, _ticks(ys), to_y)
    parts += [_x_tick(to_x(tick), f"{tick:g}") for tick in _ticks(xs)]
    for line in lines:
        points = " ".join(f"{to_x(x)},{to_y(y)}" for x, y in line.points)
        parts.append(
            Markup('<polyline class="curve {}" points="{}"><title>{}</title></polyline>').format(
                color(line.name, colors), points, escape.plain(line.name)
            )
        )
    title = f"{escape.plain(y_label, 60)} over {x_label}s"
    return Chart(title, _svg(WIDE, HIGH, title, parts))


def color(name: str, colors: Mapping[str, int]) -> str:
    """Return the style of a subject."""
    return f"c{colors.get(name, 7)}"


class _scale:  # noqa: N801  (read as a function: `to_x(value)`)
    """Map the span of some values to pixels, with a margin; one value lies in the middle."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
        self._low, self._span = low - margin, high - low + 2 * margin
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        share = (value - self._low) / self._span
        return round(self._start + share * (self._end - self._start), 1)


def _ticks(values: Sequence[float]) -> list[float]:
    """Choose three to six round numbers within the span of some values."""
    low, high = min(values), max(values)
    if not high - low > 0:
        return [low]
    step = 10 ** math.floor(math.log10(high - low))
    for factor in (0.2, 0.5, 1.0, 2.0):
        first, last = math.ceil(low / (step * factor)), math.floor(high / (step * factor))
        if last - first < 6:
            return [round(number * step * factor, 12) for number in range(first, last + 1)]
    return [low, high]


def _log_ticks(exponents: Sequence[float]) -> list[float]:
    """Choose round numbers 1, 2, 5, 10, … within the span of some powers of ten."""
    low, high = min(exponents), max(exponents)
    decades = range(math.floor(low), math.ceil(high) + 1)
    steps = (1,) if high - low > 3 else (1, 2, 5)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [tick for tick in ticks if low <= math.log10(tick) <= high] or [10.0**low]


def _frame(x_label: str, y_ticks: Sequence[float], to_y: _scale) -> list[Markup]:
    parts = [
        Markup('<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>').format(
            LEFT, WIDE - RIGHT, to_y(tick)
        )
        + Markup('<text class="soft" x="{}" y="{}" text-anchor="end">{:g}</text>').format(
            LEFT - 6, to_y(tick) + 4, tick
        )
        for tick in y_ticks
    ]
    parts.append(
        Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(
            WIDE - RIGHT, HIGH - 4, escape.plain(x_label, 60)
        )
    )
    return parts


def _x_tick(x: float, label: str) -> Markup:
    return Markup('<text class="soft" x="{}" y="{}" text-anchor="middle">{}</text>').format(
        x, HIGH - BOTTOM + 16, label
    )


def _svg(width: int, height: int, label: str, parts: Sequence[Markup]) -> Markup:
    return Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        width, height, escape.plain(label), escape_html(Markup("").join(parts))
    )
