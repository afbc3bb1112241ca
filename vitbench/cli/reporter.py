"""Progress bars and remarks on stderr; the first process speaks for all."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vitbench import distributed
from vitbench.engine.options import Reporter

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextmanager
def speaking() -> Iterator[Reporter]:
    """Give a reporter whose bars live as long as the block."""
    if not distributed.is_main():
        yield Reporter()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Remaining())
    with Progress(*columns, console=console, transient=True) as bars:
        known: dict[str, TaskID] = {}

        def progress(task: str, done: int, total: int) -> None:
            if task not in known:
                known[task] = bars.add_task(task)
            bars.update(known[task], completed=done, total=total)

        def log(text: str) -> None:
            console.print(f"  {text}", style="dim", highlight=False, markup=False, soft_wrap=True)

        yield Reporter(progress, log)
