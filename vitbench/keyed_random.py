"""Random numbers by address: the same (seed, stream, counters) gives the same numbers anywhere.

No state is kept, so a draw does not depend on the number of workers or processes, nor on what was
drawn before; resuming a run needs no generator to be saved.
"""

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
WEYL = (np.uint64(0x9E3779B9), np.uint64(0xBB67AE85))
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ROUNDS = 10
WORDS = 4

Words = NDArray[np.uint64]


def keyed_uniform(seed: int, stream: str, *counters: ArrayLike, count: int) -> NDArray[np.float64]:
    """Draw numbers from [0, 1) for every element of the counters.

    Args:
        seed: The run's seed; its low 32 bits count.
        stream: What the numbers are for ("crops", "order"); streams are independent.
        counters: Up to three whole numbers or arrays of them that broadcast together, such as
            epoch, sample and crop; the low 32 bits of each count.
        count: Numbers for each element.

    Returns:
        Shape (*broadcast shape, count), multiples of 2**-32.

    Source:
        Philox4x32-10 of Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).

    Example:
        >>> keyed_uniform(0, "order", 3, [7, 8], count=5).shape
        (2, 5)
    """
    blocks = -(-count // WORDS)
    given = [np.asarray(counter, dtype=np.int64).astype(np.uint64) & LOW for counter in counters]
    given += [np.zeros((), np.uint64)] * (WORDS - 1 - len(given))
    words = np.broadcast_arrays(
        *(word[..., None] for word in given), np.arange(blocks, dtype=np.uint64)
    )
    key = (np.uint64(seed & 0xFFFFFFFF), np.uint64(zlib.crc32(stream.encode())))
    first, second, third, fourth = words
    drawn = np.stack(philox(key, (first, second, third, fourth)), axis=-1)  # (..., blocks, 4)
    whole = drawn.reshape(*drawn.shape[:-2], blocks * WORDS)[..., :count]
    return np.ldexp(whole.astype(np.float64), -32)


def philox(
    key: tuple[np.uint64, np.uint64], counter: tuple[Words, Words, Words, Words]
) -> tuple[Words, Words, Words, Words]:
    """Scramble four 32-bit counter words (kept in 64 bits) under a key of two words."""
    a, b, c, d = counter
    left, right = key
    for _ in range(ROUNDS):
        wide, tall = a * MULTIPLIERS[0], c * MULTIPLIERS[1]
        a, b, c, d = (tall >> HALF) ^ b ^ left, tall & LOW, (wide >> HALF) ^ d ^ right, wide & LOW
        left, right = (left + WEYL[0]) & LOW, (right + WEYL[1]) & LOW
    return a, b, c, d


def permutation(seed: int, stream: str, *counters: int, length: int) -> NDArray[np.int64]:
    """Shuffle 0 to length - 1, the same for the same address.

    Args:
        seed: The run's seed.
        stream: What the order is for.
        counters: Up to two whole numbers, such as the epoch.
        length: How many to shuffle.

    Example:
        >>> sorted(permutation(0, "order", 3, length=5).tolist())
        [0, 1, 2, 3, 4]
    """
    keys = keyed_uniform(seed, stream, *counters, np.arange(length), count=2)
    return np.lexsort((keys[:, 1], keys[:, 0]))
