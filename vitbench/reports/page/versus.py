"""What the page needs to hold two runs against each other in the browser: scores and items."""

import json
import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from vitbench.reports import escape, format_scores
from vitbench.reports.families import family, is_contestant
from vitbench.reports.leaderboard import Entry, Leaderboard
from vitbench.reports.page import breakdown
from vitbench.reports.significance import MOST, readable_items
from vitbench.reports.table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

ITEMS = 10_000  # of a board; the runs of a larger one are compared by their scores and classes
DIGITS = 5  # of a score


def versus(table: Table) -> Markup | None:
    """Return scores and per-item scores of the runs that can be chosen, as JSON for a script.

    Those are the contestants and the lines of reference beside them, `MOST` of each at most; None
    where there are fewer than two.
    """
    runs = _choice(table)
    if len(runs) < 2:
        return None
    boards = [
        found
        for index, board in enumerate(table.boards)
        if (found := _board(table, board, index, runs))
    ]
    data = {
        "runs": [escape.plain(run) for run in runs],
        "pair": [escape.plain(run) for run in _most_in_common(table, runs)],
        "boards": boards,
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace("\u2028", " ").replace("\u2029", " "))


def _choice(table: Table) -> list[str]:
    measured = [entry for board in table.boards for entry in board.ranked() if not entry.published]
    order = table.verdict.overall.standings if table.verdict else ()
    known = {entry.name for entry in measured}
    contestants = [one.name for one in order if one.name in known]
    contestants += [entry.name for entry in measured if is_contestant(entry)]
    others = [entry.name for entry in measured if not is_contestant(entry)]
    chosen = [*list(dict.fromkeys(contestants))[:MOST], *list(dict.fromkeys(others))[:MOST]]
    return list(dict.fromkeys(chosen))


def _most_in_common(table: Table, runs: Sequence[str]) -> tuple[str, str]:
    """Return the two runs that stand on most boards together, the first ones of several."""
    stands = [{entry.name for entry in board.entries} for board in table.boards]
    return max(
        combinations(runs, 2), key=lambda pair: sum(names.issuperset(pair) for names in stands)
    )


def _board(
    table: Table, board: Leaderboard, index: int, runs: Sequence[str]
) -> dict[str, Any] | None:
    """Return a board on which two of the runs stand."""
    entries = {entry.name: entry for entry in board.entries if entry.name in runs}
    column = board.headline
    if len(entries) < 2 or column is None:
        return None
    items = {name: _items(table, board, entry) for name, entry in entries.items()}
    ids = list(dict.fromkeys(item for values in items.values() for item in values))
    ids = ids if len(ids) <= ITEMS else []
    return {
        "anchor": f"board-{index}",
        "key": key_of(board),
        "name": _name(board),
        "title": escape.plain(board.title),
        "family": family(board),
        "noun": board.items_name,
        "unit": column.unit,
        "up": column.higher_is_better,
        "place": board.columns.index(column),
        "columns": [
            {
                "label": escape.plain(one.label),
                "unit": one.unit,
                "up": one.higher_is_better,
                "digits": format_scores.DIGITS[one.unit],
            }
            for one in board.columns
        ],
        "scores": {
            escape.plain(name): [_short(entry.value(one.metric)) for one in board.columns]
            for name, entry in entries.items()
        },
        "ids": [escape.plain(item, escape.NAME) for item in ids],
        "items": {
            escape.plain(name): [_short(values.get(item)) for item in ids]
            for name, values in items.items()
            if values and ids
        },
        "said": [
            {
                "runs": [escape.plain(one.one), escape.plain(one.other)],
                "text": format_scores.sentence(one, board.items_name),
                "sure": one.distinct,
            }
            for one in board.comparisons
            if {one.one, one.other} <= entries.keys()
        ],
    }


def _name(board: Leaderboard) -> str:
    """Name a board in a line: its protocol, its variant and its data."""
    parts = (board.protocol.name, board.variant, board.data_name.partition("@")[0])
    return escape.plain(" · ".join(filter(None, parts)))


def key_of(board: Leaderboard) -> str:
    """Return what a board is known by in the page."""
    parts = (board.protocol.name, board.protocol.spec_id, board.dataset.fingerprint)
    return escape.plain(" ".join(parts))


def _items(table: Table, board: Leaderboard, entry: Entry) -> dict[str, float]:
    """Return a run's score on each item."""
    if board.headline is None:
        return {}
    arrays = readable_items(entry.record, table.folders)
    return values_of(arrays, board.headline.metric)


def values_of(arrays: "Mapping[str, NDArray[Any]]", metric: str) -> dict[str, float]:
    """Return the value of each item, for mIoU that of its own classes."""
    return breakdown.item_values(arrays, metric) or (
        breakdown.image_ious(arrays) if metric == "miou" else {}
    )


def _short(value: float | None) -> float | int | None:
    """Round a number to the digits that are shown, so that the page stays small."""
    if value is None or not math.isfinite(value) or abs(value) > format_scores.HUGE:
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded
