"""Memory that a pass has freed is kept for the next one, where the C library is glibc."""

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # parameters of glibc's `mallopt`
KEPT = 2**31 - 1  # bytes free at the heap's end before they are given back: the largest number
# bytes from which a block is asked of the system; an older glibc takes the second at most
LARGE = (256 * 2**20, 32 * 2**20)
OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")


def keep_freed_memory() -> None:
    """Let this process keep what it frees, for networks that run on the CPU.

    glibc gives the end of its heap back to the system whenever a tensor there is freed, and the
    next layer asks for it again, page by page and zeroed: up to a fifth of a pass
    (`benchmarks/families.py`). Thresholds that the user has set by the environment stay; with
    another C library nothing is done.

    Source:
        The GNU C Library Reference Manual, "Malloc Tunable Parameters".
    """
    if sys.platform != "linux" or any(name in os.environ for name in OWN_CHOICE):
        return
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        any(change(MMAP_THRESHOLD, size) for size in LARGE)  # until one is taken
        change(TRIM_THRESHOLD, KEPT)
