"""The same work on many items by several processes, results in the order of the items."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

T = TypeVar("T")

WORTH_PROCESSES = 64  # items; starting a process costs about half a second
CHUNK = 16  # items handed over at once


def map_items(work: Callable[[int], T], items: Sequence[int], *, workers: int) -> Iterator[T]:
    """Yield the work on each item in the order of the items, whatever the number of processes.

    Args:
        work: A picklable function of an item's number; sent to each process once.
        items: The numbers.
        workers: Processes; 1 works in this one, as few items do.
    """
    if workers <= 1 or len(items) < WORTH_PROCESSES:
        yield from map(work, items)
        return
    # "spawn": a forked child would inherit the locks of torch's threads.
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, initializer=_keep, initargs=(work,)) as pool:
        try:
            yield from pool.map(_call, items, chunksize=CHUNK)
        except BaseException:  # also when nobody takes the rest
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_work: Callable[[int], Any]  # what this worker process does; set once when it starts


def _keep(work: Callable[[int], Any]) -> None:
    global _work
    _work = work


def _call(item: int) -> Any:
    return _work(item)
