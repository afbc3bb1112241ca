"""Signals that ask a run to stop: noted when they come, obeyed after the step."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While open, SIGTERM, SIGUSR1 and ctrl-C are only noted; a second ctrl-C stops at once.

    Slurm sends SIGUSR1 ahead of the end of a job where it is asked to (`--signal=USR1@120`).
    """

    WATCHED = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)

    def __init__(self) -> None:
        self.asked = 0  # number of the signal, 0 for none
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():  # no other may set handlers
            self._before = {number: signal.signal(number, self._note) for number in self.WATCHED}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.asked == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.asked = number
