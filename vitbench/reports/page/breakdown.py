"""The differences of two runs by class, by item, and by row of their tables."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.reports.page.charts import Curve
from vitbench.reports.page.class_names import class_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 200  # of a breakdown or a table
NUMBERS = 3  # columns of a joined table that are shown
POINTS = 400  # of a curve
LARGEST = 20_000_000  # characters of a table or journal that are read
HUGE = 1e12  # a curve that goes beyond is not drawn


@dataclass(frozen=True, slots=True)
class Split:
    """One class, clip or category, with the value of each run."""

    name: str
    values: tuple[float | None, ...]

    @property
    def delta(self) -> float | None:
        """The last run's value minus the first's."""
        first, last = self.values[0], self.values[-1]
        return None if first is None or last is None else last - first

    @property
    def mean(self) -> float:
        """The mean over the runs, for what is worst first."""
        known = [value for value in self.values if value is not None]
        return sum(known) / len(known) if known else math.inf


def item_values(items: "Mapping[str, NDArray[Any]]", metric: str) -> dict[str, float]:
    """Return the value of each item by its id; empty where the arrays don't hold them."""
    import numpy as np

    if not {"ids", metric} <= set(items):
        return {}
    try:
        values = np.asarray(items[metric], dtype=np.float64)
    except (ValueError, TypeError):
        return {}
    ids = items["ids"]
    if values.ndim != 1 or ids.ndim != 1 or len(ids) != len(values):
        return {}
    pairs = zip(ids.tolist(), values.tolist(), strict=True)
    return {str(item): value for item, value in pairs if math.isfinite(value)}


def splits(runs: Sequence[Mapping[str, float]]) -> list[Split]:
    """Line up the values of several runs by name, worst first."""
    names = dict.fromkeys(name for run in runs for name in run)
    found = [Split(name, tuple(run.get(name) for run in runs)) for name in names]
    return sorted(found, key=lambda split: (split.mean, split.name))


def class_means(values: Mapping[str, float]) -> dict[str, float]:
    """Average the images of each class; an image's class is the folder it lies in."""
    groups: dict[str, list[float]] = {}
    for item, value in values.items():
        folder = item.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]
        groups.setdefault(class_name(folder), []).append(value)
    if len(groups) < 2:
        return {}
    return {name: sum(group) / len(group) for name, group in groups.items()}


def class_ious(items: "Mapping[str, NDArray[Any]]") -> dict[str, float]:
    """Return the IoU of each class over all images; see `vitbench.score_statistics`."""
    try:
        hits, predicted, true = (
            items[f"confusion_{name}"].sum(axis=0) for name in ("hits", "predicted", "true")
        )
        rows = zip(hits.tolist(), (predicted + true - hits).tolist(), strict=True)
        named = items.get("confusion_names", [f"class {n}" for n in range(len(hits))])
        names = [str(name) for name in named]
        pairs = zip(names, rows, strict=True)
        return {name: 100 * hit / all_ for name, (hit, all_) in pairs if all_ > 0}
    except (KeyError, ValueError, TypeError, AttributeError):
        return {}


def _all_zero(splits: Sequence[Split]) -> bool:
    """Tell whether every number that is known of a row is 0."""
    known = {value for split in splits for value in split.values if value is not None}
    return known == {0.0}


def image_ious(items: "Mapping[str, NDArray[Any]]") -> dict[str, float]:
    """Return each image's mean IoU over the classes that it shows or is said to show."""
    import numpy as np

    try:
        hits, predicted, true = (
            np.asarray(items[f"confusion_{name}"], dtype=np.float64)
            for name in ("hits", "predicted", "true")
        )
        union = predicted + true - hits
        shown = union > 0
        ious = np.divide(hits, union, out=np.zeros_like(hits), where=shown).sum(axis=1)
        means = 100 * ious / np.maximum(shown.sum(axis=1), 1)
        return dict(zip(map(str, items["ids"].tolist()), means.tolist(), strict=True))
    except (KeyError, ValueError, TypeError, AttributeError, IndexError):  # a stranger's arrays
        return {}


def read_frames(path: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Read scores over time, by clip: (frame, J, F) from a table with these heads."""
    rows = _read_csv(path)
    found: dict[str, list[tuple[float, float, float]]] = {}
    if not rows or rows[0] != ["clip", "frame", "j", "f"]:
        return {}
    for clip, *numbers in rows[1:]:
        known = [number for text in numbers if (number := _float(text)) is not None]
        if len(known) == 3:
            found.setdefault(clip, []).append((known[0], known[1], known[2]))
    return found


@dataclass(frozen=True, slots=True)
class Joined:
    """A table that several runs wrote, one column a run for each number that differs."""

    name: str
    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], tuple[Split, ...]], ...]
    hidden: int
    zeros: int  # rows left out, in which every number of every run is 0 or missing


def join_tables(name: str, paths: Sequence[Path | None]) -> Joined | None:
    """Join the tables of the runs by their words; numbers that never differ are left out."""
    tables = [_read_csv(path) if path else [] for path in paths]
    header = next((table[0] for table in tables if table), [])
    bodies = [table[1:] if table and table[0] == header else [] for table in tables]
    filled = next((body for body in bodies if body), [])
    if not filled:
        return None
    wordy = [
        i for i in range(len(header)) if any(row[i] and _float(row[i]) is None for row in filled)
    ]
    wordy = wordy or [0]
    if wordy[0] != 0 and len({row[0] for row in filled}) == len(filled):
        wordy = [*wordy, 0]  # the name of a class before its number
    by_key = [{tuple(row[i] for i in wordy): row for row in body} for body in bodies]
    keys = list(dict.fromkeys(key for rows in by_key for key in rows))

    def column(index: int) -> list[Split]:
        return [
            Split("", tuple(_float(rows[key][index]) if key in rows else None for rows in by_key))
            for key in keys
        ]

    numeric = {i: column(i) for i in range(len(header)) if i not in wordy}
    differing = [i for i, found in numeric.items() if any(split.delta for split in found)]
    shown = (differing or list(numeric))[:NUMBERS]
    every = [(key, tuple(numeric[i][n] for i in shown)) for n, key in enumerate(keys)]
    rows = [row for row in every if not _all_zero(row[1])] or every
    return Joined(
        name,
        tuple(header[i] for i in wordy),
        tuple(header[i] for i in shown),
        tuple(rows[:ROWS]),
        max(0, len(rows) - ROWS),
        len(every) - len(rows),
    )


def read_curves(paths: Mapping[str, Path]) -> dict[tuple[str, str], list[Curve]]:
    """Read journals, one JSON object a line: (value, step or epoch) -> curve of each run."""
    found: dict[tuple[str, str], list[Curve]] = {}
    for run, path in paths.items():
        values: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for row in _read_lines(path):
            kind = "step" if "step" in row else "epoch"
            place = _number(row.get(kind))
            for key, value in row.items():
                height = _number(value)
                if place is not None and height is not None and key not in {"step", "epoch"}:
                    values.setdefault((key, kind), []).append((place, height))
        for place_of, points in values.items():
            if len({height for _, height in points}) > 1:  # a value that stays is no curve
                stride = 1 + len(points) // POINTS
                found.setdefault(place_of, []).append(Curve(run, points[::stride]))
    return found


def _read_csv(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            text = stream.read(LARGEST)
        rows = [row for row in csv.reader(text.splitlines()) if row]
    except (OSError, UnicodeDecodeError, csv.Error):
        return []
    width = len(rows[0]) if rows else 0
    return [row for row in rows if len(row) == width]


def _read_lines(path: Path) -> list[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as stream:
            lines = stream.read(LARGEST).splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found = []
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):  # the last line of a run that was cut off
            continue
        if isinstance(row, dict):
            found.append(row)
    return found


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < HUGE else None


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < HUGE else None
