"""SIGTERM and SIGUSR1 end every command as ctrl-C does: what is finished stays, files are whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from vitbench.errors import Terminated

SENT = (signal.SIGTERM, signal.SIGUSR1)  # by schedulers, ahead of the end of a job


@contextmanager
def raising_terminated() -> Iterator[None]:
    """While open, the first of these signals raises `Terminated`; later ones are ignored.

    A training has handlers of its own, which wait for the end of a step.
    """
    if threading.current_thread() is not threading.main_thread():  # no other may set handlers
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        for other in SENT:
            signal.signal(other, signal.SIG_IGN)
        raise Terminated(number)

    before = {number: signal.signal(number, stop) for number in SENT}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
