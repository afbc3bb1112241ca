"""Paired comparisons of runs on the same items, corrected for their number."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.errors import RecordError
from vitbench.records import Record, read_items
from vitbench.reports.families import is_contestant, is_floor
from vitbench.reports.leaderboard import Column, Comparison, Entry, Leaderboard

if TYPE_CHECKING:  # numpy is slow to import, and a report of records without items needs none
    from numpy.typing import NDArray

    from vitbench.bootstrap import Resample

MOST = 10  # runs of a board that are compared

Items = Mapping[str, "NDArray[Any]"]


def with_comparisons(
    boards: Sequence[Leaderboard],
    compared: Sequence[str],
    folders: Sequence[Path],
    against: Sequence[Record] = (),
) -> tuple[Leaderboard, ...]:
    """Compare the runs of each board, and correct the p-values of all boards together.

    Args:
        boards: With their runs.
        compared: Names that were asked for; the first run of a board is its reference.
        folders: The results folders with the per-item scores.
        against: Records of a run: all others are compared with it, and with nobody else.
    """
    contestants = most_measured(boards)
    chosen = [
        _held_first(runs_to_compare(board, compared, contestants), board, against)
        for board in boards
    ]
    asked = [[(some[0], run) for run in some[1:]] if against else pairs(some) for some in chosen]
    if not any(asked):
        return tuple(boards)
    from vitbench.bootstrap import holm
    from vitbench.kept_resamples import KeptResamples

    resample = KeptResamples()
    found = [
        _compare(board, some, folders, resample) for board, some in zip(boards, asked, strict=True)
    ]
    corrected = iter(holm([comparison.p for group in found for comparison in group]))
    return tuple(
        replace(
            board,
            comparisons=tuple(replace(one, corrected=next(corrected)) for one in group),
            reference=runs[0].name if runs else "",
        )
        for board, group, runs in zip(boards, found, chosen, strict=True)
    )


def most_measured(boards: Sequence[Leaderboard]) -> tuple[str, ...]:
    """Name the contestants that stand on the most boards, `MOST` of them, the best ones first."""
    counts: dict[str, int] = {}
    for board in boards:
        for entry in board.ranked():
            if is_contestant(entry) and entry.record.items:
                counts[entry.name] = counts.get(entry.name, 0) + 1
    return tuple(sorted(counts, key=lambda name: -counts[name])[:MOST])


def runs_to_compare(
    board: Leaderboard, compared: Sequence[str], contestants: Sequence[str]
) -> list[Entry]:
    """Choose the runs of a board that are compared; the one that others are held against first.

    Those that were asked for by name, else the contestants and the best floor; on a board where
    fewer than two of them stand, its best runs.
    """
    runs = board.entries if compared else board.ranked()
    able = [run for run in runs if not run.published and run.record.items]
    if compared:
        return able[:MOST]
    playing = [run for run in able if run.name in contestants]
    floors = [run for run in able if is_floor(run.record.subject)][:1]
    return [*playing, *floors] if len(playing) + len(floors) > 1 else able[:MOST]


def _held_first(runs: list[Entry], board: Leaderboard, against: Sequence[Record]) -> list[Entry]:
    """Put the run that all others are held against first; nothing is compared where it is not."""
    if not against:
        return runs
    held = [run for run in board.entries if any(run.record is record for record in against)]
    return [*held[:1], *(run for run in runs if run is not held[0])] if held else []


def pairs(runs: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Return all pairs of runs but those of two floors, unless there is nothing else."""
    both = list(combinations(runs, 2))
    telling = [pair for pair in both if not all(is_floor(run.record.subject) for run in pair)]
    return telling or both


def _compare(
    board: Leaderboard,
    asked: Sequence[tuple[Entry, Entry]],
    folders: Sequence[Path],
    resample: "Resample",
) -> list[Comparison]:
    """Compare pairs of runs by the primary metric; those without items are left out."""
    column = board.primary
    if column is None:
        return []
    items = {line.name: readable_items(line.record, folders) for pair in asked for line in pair}
    found = [
        _comparison(one, other, column, (items[one.name], items[other.name]), resample)
        for one, other in asked
        if items[one.name] and items[other.name]
    ]
    return [comparison for comparison in found if comparison is not None]


def readable_items(record: Record, folders: Sequence[Path]) -> Items:
    """Return the per-item scores of a record from the first folder that has them, else none."""
    for folder in folders:
        try:
            return read_items(record, folder)
        except RecordError:
            continue
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
