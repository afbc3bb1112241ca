"""Random integers that are equal on every machine, keyed by what they are drawn for."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


class Draws:
    """A stream of integers that depends on its key only.

    The raw 64-bit words of PCG64 are taken, which NumPy promises never to change; its
    distributions, which may change with a release, are not used.
    """

    def __init__(self, *key: int) -> None:
        self._words = np.random.PCG64(np.random.SeedSequence(key))

    def integer(self, low: int, high: int) -> int:
        """Draw one integer from low to high, both included."""
        return low + int(self._words.random_raw()) % (high - low + 1)

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> NDArray[np.int32]:
        """Draw an array of integers from low to high, both included."""
        span = np.uint64(high - low + 1)
        words = np.asarray(self._words.random_raw(int(np.prod(shape))), dtype=np.uint64)
        return (words % span).astype(np.int32).reshape(shape) + np.int32(low)

    def bytes(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Draw an array of integers from 0 to 255, eight from each word."""
        count = int(np.prod(shape))
        words = np.asarray(self._words.random_raw(-(-count // 8)), dtype="<u8")
        return words.view(np.uint8)[:count].reshape(shape)

    def chance(self, percent: int) -> bool:
        """Return True in the given percentage of cases."""
        return self.integer(0, 99) < percent

    def choice(self, options: Sequence[T]) -> T:
        """Take one of the options."""
        return options[self.integer(0, len(options) - 1)]
