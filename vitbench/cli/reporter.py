"""Progress and remarks on stderr: bars in a terminal, a line every so often elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vitbench import distributed
from vitbench.engine.options import Reporter

FIRST_SECONDS, LATER_SECONDS = 5.0, 30.0  # until the first line of a task, and between later ones


@contextmanager
def speaking() -> Iterator[Reporter]:
    """Give a reporter for the time of the block; only the first process shows anything."""
    if not distributed.is_main():
        yield Reporter()
    elif sys.stderr.isatty():
        with _bars() as reporter:
            yield reporter
    else:
        yield Reporter(ProgressLines(_write), lambda text: _write(f"  {text}"))


@dataclass
class _Task:
    started: float  # seconds
    first: int  # units that were done before
    written: float  # when the last line was, seconds; 0: never


@dataclass
class ProgressLines:
    """Writes how far tasks are as lines of a log: soon after their start, then every 30 seconds."""

    write: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    tasks: dict[str, _Task] = field(default_factory=dict)

    def __call__(self, task: str, done: int, total: int, unit: str = "") -> None:
        """Write a line if it is time for one, or if a task with lines is finished."""
        now = self.clock()
        known = self.tasks.setdefault(task, _Task(now, done, 0.0))
        waited = now - (known.written or known.started)
        due = waited >= (LATER_SECONDS if known.written else FIRST_SECONDS)
        finished = done >= total
        if due or (finished and known.written):
            self.write(
                f"  {task}  {_state(done, total, unit, done - known.first, now - known.started)}"
            )
            known.written = now
        if finished:
            del self.tasks[task]  # the next clip, say, is a task of the same name


def _state(done: int, total: int, unit: str, new: int, seconds: float) -> str:
    """Say how far a task is, how fast it goes and how long it still takes."""
    text = f"{done:,}/{total:,} {unit}".rstrip()
    if new <= 0 or seconds <= 0:
        return text
    speed = new / seconds
    left = (total - done) / speed
    return f"{text}, {speed:.3g} {unit or 'steps'}/s" + (
        f", {_duration(left)} left" if left else ""
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min"
        if hours
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def _write(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _bars() -> Iterator[Reporter]:
    """Give a reporter whose bars live as long as the block."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        Remaining(),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        known: dict[str, TaskID] = {}

        def progress(task: str, done: int, total: int, unit: str = "") -> None:
            if task not in known:
                known[task] = bars.add_task(task, speed="")
            speed = bars.tasks[bars.task_ids.index(known[task])].speed
            text = f"{speed:.3g} {unit or 'steps'}/s" if speed else unit
            bars.update(known[task], completed=done, total=total, speed=text)

        def log(text: str) -> None:
            console.print(f"  {text}", style="dim", highlight=False, markup=False, soft_wrap=True)

        yield Reporter(progress, log)
