"""One board of the page: its lines with their intervals, and what lies behind the scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vitbench.records import Record
from vitbench.reports import format_scores
from vitbench.reports.leaderboard import Column, Entry, Leaderboard
from vitbench.reports.page import breakdown, pictures
from vitbench.reports.page.charts import Chart, Dot, scatter
from vitbench.reports.page.overview import COLORS, LINES
from vitbench.reports.page.pictures import Album
from vitbench.reports.significance import readable_items
from vitbench.reports.table import Table

RUNS = 4  # whose details stand side by side
ITEMS = 200


@dataclass(frozen=True, slots=True)
class Track:
    """Where a score and its interval lie on a line from 0 to 100."""

    dot: float
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of one run; no image where it has no room in the page."""

    run: str
    image: pictures.Image | None
    alt: str


Row = tuple[str, tuple[Picture | None, ...]]  # what the pictures show, and one for each run


@dataclass(frozen=True, slots=True)
class Item:
    """One clip or image: what each run scored on it, and what it looks like."""

    split: breakdown.Split
    pictures: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One board as the page shows it."""

    anchor: str
    board: Leaderboard
    rows: tuple[format_scores.Row, ...]
    hidden: int
    tracks: Mapping[str, Track]  # by line
    ends: tuple[str, str]  # of the tracks
    runs: tuple[str, ...]  # whose details are shown
    classes: tuple[breakdown.Split, ...]
    more_classes: int
    items: tuple[Item, ...]
    more_items: int
    pictures: tuple[Row, ...]
    tables: tuple[breakdown.Joined, ...]
    cost: Chart | None
    drawn: tuple[str, ...]  # subjects on the charts
    gaps: bool  # whether a published value stands beside a run


def build_section(
    table: Table, board: Leaderboard, index: int, colors: Mapping[str, int], album: Album
) -> Section:
    """Gather what the page tells of one board."""
    rows = format_scores.write(board)
    ranked = [row.entry for row in rows]
    measured = [
        line for line in (board.entries if table.compared else ranked) if not line.published
    ]
    shown = measured[:RUNS] if table.folder else []
    details = _Details(board, shown, table, album)
    tracks, ends = _tracks(ranked[:LINES], board.headline)
    classes = details.classes()
    items, more_items, loose = details.items_and_pictures()
    return Section(
        anchor=f"board-{index}",
        board=board,
        rows=tuple(rows[:LINES]),
        hidden=max(0, len(ranked) - LINES),
        tracks=tracks,
        ends=ends,
        runs=tuple(line.name for line in shown),
        classes=tuple(classes[: breakdown.ROWS]),
        more_classes=max(0, len(classes) - breakdown.ROWS),
        items=items,
        more_items=more_items,
        pictures=loose,
        tables=details.tables(),
        cost=_cost_chart(board, measured, colors),
        drawn=tuple(line.name for line in measured[:COLORS]),
        gaps=any(row.gap for row in rows[:LINES]),
    )


class _Details:
    """The items and files of the runs that stand side by side."""

    def __init__(
        self, board: Leaderboard, runs: Sequence[Entry], table: Table, album: Album
    ) -> None:
        self._board, self._runs, self._album = board, runs, album
        self._arrays: list[Mapping[str, Any]] = []
        self._files: list[list[pictures.File]] = []
        if table.folder is not None:
            self._arrays = [readable_items(line.record, table.folder) for line in runs]
            self._files = [list(pictures.files(line.record, table.folder)) for line in runs]
        column = board.headline
        self._values = [
            breakdown.item_values(arrays, column.metric) if column else {}
            for arrays in self._arrays
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
        items = [
            Item(split, self._rows(by_item.get(split.name, []), split.name))
            for split in rows[:ITEMS]
        ]
        return tuple(items), max(0, len(rows) - ITEMS), self._rows(loose[:ITEMS], "")

    def tables(self) -> tuple[breakdown.Joined, ...]:
        """Join the tables that the runs wrote under the same name."""
        by_name: dict[str, list[Any]] = {}
        for number, files in enumerate(self._files):
            for file in files:
                if file.path.suffix == ".csv":
                    paths = by_name.setdefault(file.name, [None] * len(self._runs))
                    paths[number] = file.path
        joined = [breakdown.join_tables(name, paths) for name, paths in by_name.items()]
        return tuple(one for one in joined if one is not None)

    def _rows(self, found: Sequence[tuple[int, pictures.File]], item: str) -> tuple[Row, ...]:
        """Put the pictures that show the same of each run into a row."""
        rows: dict[str, list[Picture | None]] = {}
        for run, file in found:
            label = " ".join(file.name.replace(item, " ").split()) if item else file.name
            row = rows.setdefault(label, [None] * len(self._runs))
            row[run] = self._embed(run, file, item)
        return tuple((label, _once(row)) for label, row in rows.items())

    def _embed(self, run: int, file: pictures.File, item: str) -> Picture:
        line, score = self._runs[run], self._values[run].get(item)
        unit = self._board.headline.unit if self._board.headline else ""
        told = "" if score is None else f", scored {format_scores.number(score, unit)}"
        return Picture(
            run=line.name,
            image=self._album.embed(file.path),
            alt=f"{file.name}, by {line.name}{told}",
        )


def _once(row: Sequence[Picture | None]) -> tuple[Picture | None, ...]:
    """Keep one picture of those that are the same for every run, such as the image itself."""
    there = [picture for picture in row if picture and picture.image]
    if len(there) == len(row) > 1 and len({picture.image for picture in there}) == 1:
        return (replace(there[0], run="every run"),)
    return tuple(row)


def _tracks(
    lines: Sequence[Entry], column: Column | None
) -> tuple[dict[str, Track], tuple[str, str]]:
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
    if not points or column is None or not max(points) - min(points) < format_scores.HUGE:
        return {}, ("", "")
    low, high = min(points), max(points)
    span = high - low or 1.0

    def place(value: float) -> float:
        return round(4 + 92 * (value - low) / span, 2)

    tracks = {}
    for name, ends in reach.items():
        known = [end for end in ends if end is not None]
        start = place(min(known))
        tracks[name] = Track(place(known[0]), start, round(place(max(known)) - start, 2))
    return tracks, (format_scores.number(low, column.unit), format_scores.number(high, column.unit))


def _cost_chart(
    board: Leaderboard, lines: Sequence[Entry], colors: Mapping[str, int]
) -> Chart | None:
    """Draw score against cost, where two runs or more tell theirs."""
    column = board.primary
    if column is None:
        return None
    dots = [
        Dot(line.name, line.record.cost.seconds, value, f"{line.name}: {told}")
        for line in lines[:LINES]
        if (value := line.value(column.metric)) is not None and abs(value) < format_scores.HUGE
        if 0 < line.record.cost.seconds < format_scores.HUGE
        for told in [_cost(line.record)]
    ]
    return scatter(dots, colors, "seconds", column.label) if len(dots) > 1 else None


def _cost(record: Record) -> str:
    cached = ", features from the cache" if record.cost.feature_cache == "hit" else ""
    return f"{record.cost.seconds:.1f} s on {record.environment.device}{cached}"
