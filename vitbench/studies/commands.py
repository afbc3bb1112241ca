"""The commands of a study with what each waits for, for any scheduler."""

import shlex
from collections.abc import Iterator, Sequence

from vitbench.studies.tasks import Task
from vitbench.studies.training_row import Training


def command_lines(tasks: Sequence[Task], words: Sequence[str]) -> Iterator[str]:
    """Yield one line a task: its number, the numbers it waits for, and its command, by tabs."""
    numbers = {
        task.works[0]: number
        for number, task in enumerate(tasks, 1)
        if isinstance(task.works[0], Training)
    }
    for number, task in enumerate(tasks, 1):
        after = str(numbers[task.needs]) if task.needs in numbers else "-"
        command = shlex.join(["vitbench", *words, "--cell", *task.names])
        yield f"{number}\t{after}\t{command}"
