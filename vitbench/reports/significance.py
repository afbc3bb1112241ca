"""Paired comparisons of runs on the same items, corrected for their number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.errors import RecordError
from vitbench.records import Record, read_items
from vitbench.reports.leaderboard import Column, Comparison, Entry, Leaderboard

if TYPE_CHECKING:  # numpy is slow to import, and a report of records without items needs none
    from numpy.typing import NDArray

    from vitbench.bootstrap import Resample

MOST = 10  # runs of a board that are compared

Items = Mapping[str, "NDArray[Any]"]


def with_comparisons(
    boards: Sequence[Leaderboard], compared: Sequence[str], folder: Path
) -> tuple[Leaderboard, ...]:
    """Compare the runs of each board, and correct the p-values of all boards together.

    Runs that were asked for by name are compared pair by pair, else each with the best. At most
    `MOST` runs of a board take part.
    """
    asked = [pairs(board, compared) for board in boards]
    if not any(asked):
        return tuple(boards)
    from vitbench.bootstrap import holm
    from vitbench.kept_resamples import KeptResamples

    resample = KeptResamples()
    found = [
        _compare(board, some, folder, resample) for board, some in zip(boards, asked, strict=True)
    ]
    corrected = iter(holm([comparison.p for group in found for comparison in group]))
    return tuple(
        replace(
            board,
            comparisons=tuple(replace(one, corrected=next(corrected)) for one in group),
        )
        for board, group in zip(boards, found, strict=True)
    )


def pairs(board: Leaderboard, compared: Sequence[str]) -> list[tuple[Entry, Entry]]:
    """Choose what to compare; the run that the others are measured by comes first in its pairs."""
    runs = board.entries if compared else board.ranked()
    chosen = [line for line in runs if not line.published and line.record.items][:MOST]
    if compared:
        return list(combinations(chosen, 2))
    return [(chosen[0], line) for line in chosen[1:]]


def _compare(
    board: Leaderboard,
    asked: Sequence[tuple[Entry, Entry]],
    folder: Path,
    resample: "Resample",
) -> list[Comparison]:
    """Compare pairs of runs by the primary metric; those without items are left out."""
    column = board.primary
    if column is None:
        return []
    items = {line.name: readable_items(line.record, folder) for pair in asked for line in pair}
    found = [
        _comparison(one, other, column, (items[one.name], items[other.name]), resample)
        for one, other in asked
        if items[one.name] and items[other.name]
    ]
    return [comparison for comparison in found if comparison is not None]


def readable_items(record: Record, folder: Path) -> Items:
    """Return the per-item scores of a record; none where they can't be read."""
    try:
        return read_items(record, folder)
    except RecordError:
        return {}


def _comparison(
    one: Entry,
    other: Entry,
    column: Column,
    items: tuple[Items, Items],
    resample: "Resample",
) -> Comparison | None:
    """Compare two runs in one column; None where their items can't be."""
    import numpy as np

    from vitbench.bootstrap import paired_difference

    try:
        with np.errstate(all="ignore"):
            found = paired_difference(*items, column.metric, resample=resample)
    except (KeyError, ValueError, TypeError, IndexError):  # a stranger's arrays
        return None
    if found is None or not math.isfinite(found.value + found.low + found.high):
        return None
    return Comparison(
        one=one.name,
        other=other.name,
        column=column,
        difference=found.value,
        low=found.low,
        high=found.high,
        p=found.p,
        corrected=found.p,
        items=found.items,
        wins=found.wins,
    )
