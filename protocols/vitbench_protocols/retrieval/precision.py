"""Average precision of rankings, as the revisited benchmarks and Copydays' evaluation form it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Judged:
    """How one ranking did, in percent; NaN where nothing answers the query."""

    average: float
    at: tuple[float, ...]  # precision at the places asked for


def judge(
    ranking: Places, right: Places, junk: Places, at: Sequence[int], *, shown: int = 0
) -> Judged:
    """Judge one ranking.

    Args:
        ranking: Rows of the database, the most similar first.
        right: Rows that answer the query.
        junk: Rows that are taken out of the ranking.
        at: Places whose precision is asked for; cut to that of the last answer.
        shown: Places that count; an answer beyond is not found. 0: all.

    Returns:
        The average precision is the area below the line through the points of precision and
        recall (trapezoids).

    Source:
        filipradenovic/revisitop, python/evaluate.py; facebookresearch/dino, utils.py, compute_map,
        and eval_copy_detection.py, score_ap_from_ranks_1 (7c446df).
    """
    if not len(right):
        return Judged(np.nan, (np.nan,) * len(at))
    kept = ranking[np.isin(ranking, junk, invert=True)] if len(junk) else ranking
    places = np.flatnonzero(np.isin(kept, right))
    if shown:
        places = places[places < shown]
    before = np.arange(len(places))
    left = np.where(places > 0, before / np.maximum(places, 1), 1.0)
    average = float(((left + (before + 1) / (places + 1)) / 2).sum() / len(right))
    last = int(places.max()) + 1 if len(places) else 1
    found = tuple(100.0 * np.count_nonzero(places < min(last, k)) / min(last, k) for k in at)
    return Judged(100.0 * average, found)
