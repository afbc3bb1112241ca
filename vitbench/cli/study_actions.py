"""What can be done with a study or a sweep: plan it, run it, show it, write cards of it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from vitbench.cli import train
from vitbench.cli.main import main
from vitbench.cli.report import write_report
from vitbench.cli.reporter import speaking
from vitbench.errors import UnknownName
from vitbench.reports.render import Form
from vitbench.reports.study_forms import render_study
from vitbench.settings import flag, setting
from vitbench.studies.cards import write_cards
from vitbench.studies.cell_state import CELLS, State, Work, states_of, works_of
from vitbench.studies.commands import command_lines
from vitbench.studies.faults import broken_checkpoints, missing_data, refuse
from vitbench.studies.local import Local, slots
from vitbench.studies.matrix import Cell, Study
from vitbench.studies.plan import plan_lines, summary
from vitbench.studies.processes import call
from vitbench.studies.show import study_table
from vitbench.studies.slurm import LOGS, Cluster, jobs_of, queue, submit
from vitbench.studies.tasks import tasks_of
from vitbench.studies.training_row import Training
from vitbench.studies.worker import Worker

Action = Literal["plan", "run", "show", "cards"]
ACTIONS: tuple[Action, ...] = get_args(Action)
CARDS = "cards"  # the folder, where none is told


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """Where and how a study runs."""

    results: Path = setting(Path("results"), help="folder that records are written to")
    jobs: int = setting(
        1, help="tasks that run at once, each on its own share of the machine's cores", minimum=1
    )
    devices: tuple[str, ...] = setting(
        (), help="GPUs to use, a task at a time on each: 0 1 2, or cuda:0; cpu for a task there"
    )
    device: str = setting("auto", help="device of --cell: auto, cpu, cuda or cuda:N")
    cell: tuple[str, ...] = setting(
        (),
        help="do these cells alone, in this process: ROW/COLUMN, or ROW for a training",
    )
    commands: bool = setting(
        False, help="print the commands of what is left, with what each waits for, and run nothing"
    )
    slurm: Literal["", "submit", "print"] = setting(
        "", help="hand what is left to Slurm (--slurm), or print its batch scripts (--slurm=print)"
    )
    partition: str = setting("", help="partition of the Slurm jobs; the table [slurm] has others")
    account: str = setting("", help="account of the Slurm jobs")
    time: str = setting("", help="time limit of the Slurm jobs, such as 4:00:00")
    gpus: int | None = setting(None, help="GPUs of a Slurm job on each of its nodes", minimum=0)
    format: Form = setting("rich", help="format of `show`; rich is a table in the terminal")
    out: str = setting(
        "",
        help="file of `show`, folder of `cards`; left out: standard output, cards",
    )


def action_of(words: Sequence[str], usual: Action) -> tuple[Action, list[str]]:
    """Take the action out of the words, wherever it stands; return it and the rest."""
    words = ["--slurm=submit" if word == "--slurm" else word for word in words]
    for place, word in enumerate(words):
        if word in ACTIONS:
            return word, [*words[:place], *words[place + 1 :]]
    return usual, words


def command(*head: str, **told: object) -> list[str]:
    """Write the command that runs a study: its first words, then the flags that were told.

    Args:
        head: Such as `sweep`, `run` and its checkpoints.
        told: Values by the names of their flags; empty ones are left out.
    """
    words = list(head)
    for name, value in told.items():
        values = value if isinstance(value, tuple) else (value,) if value else ()
        words += [flag(name), *map(str, values)] if values else []
    return words


def act(action: Action, study: Study, how: How, words: Sequence[str]) -> int:
    """Do what was asked for; `words` is the command that runs the study."""
    if action == "plan":
        return plan(study, how)
    if action == "show":
        return show(study, how)
    if action == "cards":
        return cards(study, how)
    return run(study, how, words)


def plan(study: Study, how: How) -> int:
    """Print what there is and what is left."""
    states = states_of(how.results, study)
    print("\n".join(plan_lines(study, how.results, states)))
    for line in queue(study):
        print(line)
    for fault in missing_data(*_left(study, states)):
        print(f"missing: {fault}")
    return 0


def show(study: Study, how: How) -> int:
    """Print or write the table of a study."""
    states = states_of(how.results, study)
    text = render_study(study_table(study, how.results, states), how.format)
    if how.out:
        write_report(text, Path(how.out))
    else:
        sys.stdout.write(text)
    return 0


def cards(study: Study, how: How) -> int:
    """Write a card of each network that was measured; say where."""
    written = list(write_cards(study, states_of(how.results, study), Path(how.out or CARDS)))
    print("\n".join(map(str, written)) or f"{study.name}: nothing was measured yet")
    return 0


def run(study: Study, how: How, words: Sequence[str]) -> int:
    """Do what is left of a study; nothing to do is one line."""
    if how.cell:
        return _cells(study, how, words)
    states = states_of(how.results, study)
    if all(state.kind == "done" for state in states.values()):
        print(f"{study.name}: nothing to do, {summary(states)}")
        return 0
    cells, trainings = _left(study, states)
    specs = {cell.row.name: cell.row.checkpoint for cell in cells if cell.row.checkpoint}
    broken = call(broken_checkpoints, specs) if specs else []
    refuse([*missing_data(cells, trainings), *broken])
    if how.commands or how.slurm:
        return _handed_over(study, how, words, states)
    places = slots(how.jobs, how.devices)
    with speaking() as reporter:
        code = Local(study, how.results, main, words, places, reporter).run()
    print(summary(states_of(how.results, study)))
    return code


def _left(study: Study, states: Mapping[Work, State]) -> tuple[list[Cell], list[Training]]:
    """Return the cells and the trainings that are not done."""
    cells = [one for one in study.cells if states[one].kind != "done"]
    return cells, [one for one in study.trainings if states[one].kind != "done"]


def _handed_over(study: Study, how: How, words: Sequence[str], states: Mapping[Work, State]) -> int:
    """Print or submit what is left, for a scheduler."""
    tasks = tasks_of(study, states, workers=sys.maxsize)
    if how.commands:
        print("\n".join(command_lines(tasks, words)))
        return 0
    told = {name: getattr(how, name) for name in ("partition", "account", "time", "gpus")}
    flags = {name: value for name, value in told.items() if value}
    jobs = jobs_of(study, tasks, Cluster(how.results, words, {**study.slurm, **flags}))
    if how.slurm == "print":
        print("\n".join(job.script for job in jobs))
        return 0
    (how.results / CELLS / LOGS).mkdir(parents=True, exist_ok=True)
    for line in submit(jobs):
        print(line)
    return 0


def _cells(study: Study, how: How, words: Sequence[str]) -> int:
    """Do the named cells and trainings in this process."""
    by_name: dict[str, Work] = {work.name: work for work in works_of(study)}
    for name in how.cell:
        if name not in by_name:
            raise UnknownName(f"cell of {study.name}", name, by_name)
    works = [by_name[name] for name in how.cell]
    with speaking() as reporter:
        worker = Worker(study.name, how.results, words, train.run, how.device, reporter, _say)
        return worker.run(works)


def _say(text: str) -> None:
    print(text, flush=True)
