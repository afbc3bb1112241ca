"""How sure a score is: intervals from resampling its items, the same for the same seed."""

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 10_000
LEVEL = 95.0
CHUNK = 4_000_000  # drawn indices held at once: 32 MB


def mean_interval(values: NDArray[np.float64], *, seed: int = 0) -> tuple[float, float] | None:
    """Give the 95 % percentile-bootstrap interval of the mean of items.

    Args:
        values: One number an item, shape (n,); items that are not defined are NaN and left out.
        seed: Draws the resamples; the same seed gives the same interval.

    Returns:
        Lower and upper end, in the unit of the values; None for fewer than two items.
    """
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return None
    low, high = np.percentile(
        resampled_means(values, seed=seed), [(100 - LEVEL) / 2, (100 + LEVEL) / 2]
    )
    return float(low), float(high)


def resampled_means(values: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float64]:
    """Draw the means of `RESAMPLES` samples of the items with replacement, shape (RESAMPLES,).

    Where few distinct values occur (right or wrong), a resample is a draw of how often each
    occurs: the same distribution, and the cost does not grow with the items.
    """
    generator = np.random.default_rng(seed)
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    if len(distinct) <= 64:
        drawn = generator.multinomial(n, counts / n, size=RESAMPLES)
        means: NDArray[np.float64] = drawn @ distinct / n
        return means
    rows = max(1, CHUNK // n)
    parts = [
        values[generator.integers(0, n, size=(min(rows, RESAMPLES - start), n))].mean(axis=1)
        for start in range(0, RESAMPLES, rows)
    ]
    return np.concatenate(parts)
