"""Items are made ahead, by threads, and come in the order that was asked for."""

import threading
import time
from itertools import count, islice

import pytest

from vitbench.data.loader import in_order


def test_the_order_is_kept_whatever_takes_longest() -> None:
    def slow_first(item: int) -> int:
        time.sleep(0.02 if item == 0 else 0)
        return item

    assert list(in_order(slow_first, range(8), workers=4, ahead=4)) == list(range(8))


def test_no_more_is_made_than_was_allowed_ahead() -> None:
    made: list[int] = []
    items = in_order(made.append, count(), workers=1, ahead=3)
    list(islice(items, 2))
    items.close()
    assert len(made) <= 5


def test_what_goes_wrong_in_a_thread_is_raised_where_the_item_is_asked_for() -> None:
    def broken(item: int) -> int:
        if item == 2:
            raise ValueError("item 2")
        return item

    items = in_order(broken, range(5), workers=2, ahead=5)
    assert list(islice(items, 2)) == [0, 1]
    with pytest.raises(ValueError, match="item 2"):
        next(items)
    assert threading.active_count() < 10
