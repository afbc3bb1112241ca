"""J and F of whole clips and of sets of clips."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitbench.api import MetricSpec, Score, errors
from vitbench.kit import LATE_OBJECTS, Clip, atomic
from vitbench_protocols.davis.jf import Statistics, Values, statistics

METRICS = (
    MetricSpec("jf_mean", "J&F", primary=True),
    MetricSpec("j_mean", "J mean"),
    MetricSpec("j_recall", "J recall"),
    MetricSpec("j_decay", "J decay", higher_is_better=False),
    MetricSpec("f_mean", "F mean"),
    MetricSpec("f_recall", "F recall"),
    MetricSpec("f_decay", "F decay", higher_is_better=False),
)
COLUMNS = ("mean", "recall", "decay", "decay_uint8")


@dataclass(frozen=True, slots=True)
class ClipScores:
    """J and F of every object in every scored frame of one clip, 0 to 1."""

    clip: str
    region: Values  # J, (objects, frames); no frames where the truth is not known
    outline: Values  # F, (objects, frames); NaN, as in J, up to the frame in which an object enters
    pictures: tuple[tuple[str, str], ...] = ()  # (name, path) of what was drawn of it

    @property
    def scored(self) -> bool:
        """Whether the truth of any frame was known."""
        return self.region.size > 0

    def per_object(self) -> dict[int, tuple[Statistics, Statistics]]:
        """Summarize J and F of each object, by its number, over the frames that count for it."""
        rows = zip(self.region, self.outline, strict=True)
        return {
            number: (statistics(region[known]), statistics(outline[known]))
            for number, (region, outline) in enumerate(rows, start=1)
            if (known := np.isfinite(region)).any()
        }

    def write(self, path: Path) -> None:
        """Keep the scores, so that a killed run need not follow the clip again."""
        parts = {
            "region": self.region.tolist(),
            "outline": self.outline.tolist(),
            "pictures": self.pictures,
        }
        with atomic(path) as temporary:
            temporary.write_text(json.dumps(parts))

    @classmethod
    def read(cls, clip: str, path: Path) -> "ClipScores":
        """Read scores that `write` wrote."""
        parts = json.loads(path.read_text())
        region, outline = (np.array(parts[key], dtype=float) for key in ("region", "outline"))
        return cls(clip, region, outline, tuple((name, at) for name, at in parts["pictures"]))


def split_name(split: str, year: int, *, late_objects: bool) -> str:
    """Return the split as the reader of clips knows it.

    Raises:
        SettingError: Objects can't appear later in DAVIS-2016, which has one object a clip.
    """
    if late_objects and year == 2016:
        raise errors.SettingError(["--late-objects is not for --year 2016: it has one object"])
    if late_objects:
        return f"{LATE_OBJECTS}{split}"
    return split if year == 2017 else f"2016/{split}"


def only_entered(scores: tuple[Values, Values], clip: Clip, frame: int) -> tuple[Values, Values]:
    """Return J and F of a frame, (objects,) each, NaN for objects that are not yet predicted.

    An object counts from the frame after the one in which its mask is given.
    """
    if not clip.enters:
        return scores
    before = np.array(clip.enters) >= frame
    region, outline = (np.where(before, np.nan, values) for values in scores)
    return region, outline


def summarize(found: Sequence[ClipScores]) -> tuple[tuple[Score, ...], dict[str, NDArray[Any]]]:
    """Score a set of clips: each statistic averaged over objects, as the official evaluator does.

    Returns:
        The scores in percent, and what is kept of each clip: the mean over its objects and, as its
        weight, how many there are.
    """
    scored = [[_percent(*pair) for pair in clip.per_object().values()] for clip in found]
    rows = [row for own in scored for row in own]
    objects = np.array([len(own) for own in scored])
    starts = np.cumsum(objects) - objects
    items: dict[str, NDArray[Any]] = {
        "ids": np.array([clip.clip for clip in found]),
        "weights": objects,
    }
    scores = []
    for metric in METRICS:
        values = np.array([row[metric.name] for row in rows])
        scores.append(Score(metric.name, float(values.mean()), items=len(rows)))
        items[metric.name] = np.add.reduceat(values, starts) / objects
    return tuple(scores), items


def write_csv(found: Sequence[ClipScores], path: Path) -> None:
    """Write one line for each object of each clip, in percent."""
    with atomic(path) as temporary, temporary.open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["clip", "object", *(f"{m}_{c}" for m in "jf" for c in COLUMNS)])
        for clip in found:
            for number, pair in clip.per_object().items():
                values = [100 * getattr(part, column) for part in pair for column in COLUMNS]
                lines.writerow([clip.clip, number, *values])


def write_frames(found: Sequence[ClipScores], path: Path) -> None:
    """Write J and F of each scored frame of each clip, averaged over its objects, in percent."""
    with atomic(path) as temporary, temporary.open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(["clip", "frame", "j", "f"])
        for clip in found:
            for frame, pair in enumerate(zip(clip.region.T, clip.outline.T, strict=True), start=1):
                known = np.isfinite(pair[0])
                if known.any():
                    means = [f"{100 * values[known].mean():.2f}" for values in pair]
                    lines.writerow([clip.clip, frame, *means])


def _percent(region: Statistics, outline: Statistics) -> dict[str, float]:
    parts = {"j": region, "f": outline}
    row = {
        f"{letter}_{column}": 100 * getattr(part, column)
        for letter, part in parts.items()
        for column in ("mean", "recall", "decay")
    }
    return {"jf_mean": (row["j_mean"] + row["f_mean"]) / 2, **row}
