"""One board of the page: its lines with their intervals, and what lies behind the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitbench.reports import escape, format_scores
from vitbench.reports.families import Family, family, is_contestant, is_floor
from vitbench.reports.leaderboard import Column, Entry, Leaderboard
from vitbench.reports.page import breakdown, pictures
from vitbench.reports.page.charts import Chart, Curve, curves
from vitbench.reports.page.cost import Costs, cost_charts
from vitbench.reports.page.overview import COLORS, LINES
from vitbench.reports.page.pictures import Album
from vitbench.reports.page.recolor import align_colors
from vitbench.reports.page.shots import Picture, Row, side_by_side
from vitbench.reports.page.versus import values_of
from vitbench.reports.significance import readable_items
from vitbench.reports.table import Table

ABOVE_CHANCE = "above_chance"  # how the metrics end whose zero is chance
RUNS = 4  # whose details stand side by side
ITEMS = 200
SEEDS = 6  # that are named
FRAMES = "frames"  # the table of a clip's scores over time
COMPONENTS = "pca"  # what the pictures of principal components are called


@dataclass(frozen=True, slots=True)
class Track:
    """Where a score and its interval lie on a line from 0 to 100."""

    dot: float
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Line:
    """A line of reference across the tracks of a board."""

    label: str
    place: float


@dataclass(frozen=True, slots=True)
class Item:
    """One clip or image: what each run scored on it, and what it looks like."""

    anchor: str  # what a link to it ends with: #item=…
    split: breakdown.Split
    pictures: tuple[Row, ...]
    charts: tuple[Chart, ...] = ()  # its scores over time


@dataclass(frozen=True, slots=True)
class Section:
    """One board as the page shows it."""

    anchor: str
    family: Family
    board: Leaderboard
    rows: tuple[format_scores.Row, ...]
    hidden: int
    tracks: Mapping[str, Track]  # by line
    ends: tuple[str, str]  # of the tracks
    lines: tuple[Line, ...]  # floors and chance
    runs: tuple[str, ...]  # whose details are shown
    classes: tuple[breakdown.Split, ...]
    more_classes: int
    items: tuple[Item, ...]
    more_items: int
    pictures: tuple[Row, ...]
    tables: tuple[breakdown.Joined, ...]
    costs: tuple[Chart, ...]
    drawn: tuple[str, ...]  # subjects on the charts
    gaps: bool  # whether a published value stands beside a run
    ps: bool  # whether any run was compared with the reference
    seeds: tuple[int, ...]  # of the runs


def build_section(
    table: Table,
    board: Leaderboard,
    index: int,
    colors: Mapping[str, int],
    album: Album,
    costs: Costs,
) -> Section:
    """Gather what the page tells of one board."""
    rows = format_scores.write(board)
    ranked = [row.entry for row in rows]
    measured = sorted(
        (line for line in (board.entries if table.compared else ranked) if not line.published),
        key=lambda line: not is_contestant(line),
    )
    shown = measured[:RUNS] if table.folders else []
    details = _Details(f"board-{index}", board, shown, table, album, colors)
    lines = _reference_lines(ranked, board.headline)
    tracks, ends, places = _tracks(ranked[:LINES], board.headline, lines)
    classes = details.classes()
    items, more_items, loose = details.items_and_pictures()
    return Section(
        anchor=f"board-{index}",
        family=family(board),
        board=board,
        rows=tuple(rows[:LINES]),
        hidden=max(0, len(ranked) - LINES),
        tracks=tracks,
        ends=ends,
        lines=places,
        runs=tuple(line.name for line in shown),
        classes=tuple(classes[: breakdown.ROWS]),
        more_classes=max(0, len(classes) - breakdown.ROWS),
        items=items,
        more_items=more_items,
        pictures=loose,
        tables=details.tables(),
        costs=cost_charts(costs, board, measured, colors),
        drawn=tuple(line.name for line in measured[:COLORS]),
        gaps=any(row.gap for row in rows[:LINES]),
        ps=any(row.p for row in rows[:LINES]),
        seeds=tuple(sorted({line.record.seed for line in measured}))[:SEEDS],
    )


class _Details:
    """The items and files of the runs that stand side by side."""

    def __init__(
        self,
        anchor: str,
        board: Leaderboard,
        runs: Sequence[Entry],
        table: Table,
        album: Album,
        colors: Mapping[str, int],
    ) -> None:
        self._anchor, self._board, self._runs = anchor, board, runs
        self._album, self._colors = album, colors
        folders = table.folders
        self._arrays = [readable_items(line.record, folders) for line in runs]
        self._files = [list(pictures.files(line.record, folders)) for line in runs]
        column = board.headline
        self._values = [
            values_of(arrays, column.metric) if column else {} for arrays in self._arrays
        ]

    def classes(self) -> list[breakdown.Split]:
        """Compare class by class; by the largest difference first."""
        kind = self._board.dataset.kind
        found: list[Mapping[str, float]] = []
        if kind == "classification":
            found = [breakdown.class_means(values) for values in self._values]
        if kind == "semantic":
            found = [breakdown.class_ious(arrays) for arrays in self._arrays]
        rows = breakdown.splits(found) if any(found) else []
        if len(self._runs) < 2:
            return rows
        return sorted(rows, key=lambda split: -abs(split.delta or 0.0))

    def items_and_pictures(self) -> tuple[tuple[Item, ...], int, tuple[Row, ...]]:
        """Return items worst first, how many more there are, and pictures of no single item."""
        by_item: dict[str, list[tuple[int, pictures.File]]] = {}
        for run, (values, files) in enumerate(zip(self._values, self._files, strict=True)):
            for file in filter(pictures.is_picture, files):
                by_item.setdefault(pictures.item_of(file.name, values), []).append((run, file))
        loose = by_item.pop("", [])
        rows = breakdown.splits(self._values) if any(self._values) else []
        if self._board.headline and self._board.headline.higher_is_better is False:
            rows.reverse()
        if self._board.dataset.kind == "classification" or by_item:
            rows = [split for split in rows if split.name in by_item]
        frames = self._frames()
        items = [
            Item(
                f"{self._anchor}/{escape.plain(split.name, escape.NAME)}",
                split,
                self._rows(by_item.get(split.name, []), split.name),
                self._over_time(split.name, frames),
            )
            for split in rows[:ITEMS]
        ]
        return tuple(items), max(0, len(rows) - ITEMS), self._rows(loose[:ITEMS], "")

    def _frames(self) -> list[dict[str, list[tuple[float, float, float]]]]:
        """Read each run's scores over time, by clip."""
        paths = [[file.path for file in files if file.name == FRAMES] for files in self._files]
        return [breakdown.read_frames(found[0]) if found else {} for found in paths]

    def _over_time(
        self, item: str, frames: Sequence[Mapping[str, list[tuple[float, float, float]]]]
    ) -> tuple[Chart, ...]:
        """Draw J and F of a clip over its frames, one line a run."""
        charts = []
        for place, letter in enumerate("JF", start=1):
            lines = [
                Curve(run.name, [(row[0], row[place]) for row in own[item]])
                for run, own in zip(self._runs, frames, strict=True)
                if len(own.get(item, ())) > 1
            ]
            charts += [curves(lines, self._colors, "frame", letter)] if lines else []
        return tuple(charts)

    def tables(self) -> tuple[breakdown.Joined, ...]:
        """Join the tables that the runs wrote under the same name."""
        by_name: dict[str, list[Any]] = {}
        for number, files in enumerate(self._files):
            for file in files:
                if file.path.suffix == ".csv" and file.name != FRAMES:
                    paths = by_name.setdefault(file.name, [None] * len(self._runs))
                    paths[number] = file.path
        joined = [breakdown.join_tables(name, paths) for name, paths in by_name.items()]
        return tuple(one for one in joined if one is not None)

    def _rows(self, found: Sequence[tuple[int, pictures.File]], item: str) -> tuple[Row, ...]:
        """Put the pictures that show the same of each run into a row.

        Colors of principal components mean nothing from run to run: they are turned to those of
        the first run that match them best.
        """
        rows: dict[str, list[Picture | None]] = {}
        for run, file in found:
            label = " ".join(file.name.replace(item, " ").split()) if item else file.name
            row = rows.setdefault(label, [None] * len(self._runs))
            row[run] = self._embed(run, file, item)
        for label, row in rows.items():
            if label.partition(" ")[0] == COMPONENTS:
                rows[label] = align_colors(row)
        return side_by_side(rows)

    def _embed(self, run: int, file: pictures.File, item: str) -> Picture:
        line, score = self._runs[run], self._values[run].get(item)
        unit = self._board.headline.unit if self._board.headline else ""
        told = "" if score is None else f", scored {format_scores.number(score, unit)}"
        return Picture(
            run=line.name,
            image=self._album.embed(file.path),
            alt=f"{file.name}, by {line.name}{told}",
        )


def _reference_lines(lines: Sequence[Entry], column: Column | None) -> dict[str, float]:
    """Return the scores of the best floor and of chance in a column, by what they are called."""
    if column is None:
        return {}
    floors = [entry for entry in lines if is_floor(entry.record.subject)]
    found = {
        f"floor: {format_scores.name(entry.name)}": value
        for entry in floors[:1]
        if (value := entry.value(column.metric)) is not None
    }
    if column.metric.endswith(ABOVE_CHANCE):
        found["chance"] = 0.0
    return found


def _tracks(
    lines: Sequence[Entry], column: Column | None, reference: Mapping[str, float]
) -> tuple[dict[str, Track], tuple[str, str], tuple[Line, ...]]:
    """Place each primary score and its interval between the lowest and the highest of all."""
    scores = {
        line.name: score
        for line in lines
        if column and (score := line.scores.get(column.metric)) and score.value is not None
    }
    reach = {
        name: (score.value, *(end for end in (score.low, score.high) if end is not None))
        for name, score in scores.items()
    }
    points = [point for ends in reach.values() for point in ends if point is not None]
    points += reference.values() if points else ()
    if not points or column is None or not max(points) - min(points) < format_scores.HUGE:
        return {}, ("", ""), ()
    low, high = min(points), max(points)
    span = high - low or 1.0

    def place(value: float) -> float:
        return round(4 + 92 * (value - low) / span, 2)

    tracks = {}
    for name, ends in reach.items():
        known = [end for end in ends if end is not None]
        start = place(min(known))
        tracks[name] = Track(place(known[0]), start, round(place(max(known)) - start, 2))
    ends_ = (format_scores.number(low, column.unit), format_scores.number(high, column.unit))
    return tracks, ends_, tuple(Line(name, place(value)) for name, value in reference.items())
