"""Run a study on a Slurm cluster: an array of trainings, what waits for them, the rest.

The scripts call the same command that works by hand, with `--cell`; there is no scheduler here.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import vitbench
from vitbench.engine.provenance import git_state
from vitbench.errors import STOPPED_AFTER_SAVING, MissingAbility, SettingError
from vitbench.records import safe_name
from vitbench.studies.cell_state import CELLS
from vitbench.studies.matrix import Study
from vitbench.studies.tasks import Task
from vitbench.studies.training_row import Training

LOGS = "slurm"
PORT = 29500  # where the processes of several nodes meet
SIGNALED = 128 + 10  # exit code of a process that SIGUSR1 ended
OPTIONS = {  # of the table [slurm], and what sbatch calls them
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "time": "time",
    "gpus": "gpus-per-node",
    "cpus": "cpus-per-task",
    "memory": "mem",
    "nodes": "nodes",
}


@dataclass(frozen=True)
class Job:
    """One array; where it waits, each of its tasks waits for that of the array before it."""

    title: str
    script: str
    tasks: int
    waits: bool = False


@dataclass(frozen=True)
class Cluster:
    """How jobs ask for their machines: the table [slurm] of a study, flags, and where they run."""

    results: Path
    words: Sequence[str]  # the command of the study
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = {*OPTIONS, "extra", "train"}
        wrong = [name for name in (*self.settings, *self._of_trainings) if name not in known]
        if wrong:
            raise SettingError([f"slurm has no {name!r}" for name in wrong], expected=str(known))

    @property
    def _of_trainings(self) -> Mapping[str, Any]:
        return dict(self.settings.get("train", {}))

    def options(self, *, training: bool) -> dict[str, Any]:
        """Return what sbatch is asked for; the table [slurm.train] wins for trainings."""
        told = {**self.settings, **(self._of_trainings if training else {})}
        return {name: value for name, value in told.items() if name != "train"}


def jobs_of(study: Study, tasks: Sequence[Task], cluster: Cluster) -> list[Job]:
    """Return the arrays of all tasks: trainings, the cells that wait for each, and the rest."""
    trainings = [task.works[0] for task in tasks if isinstance(task.works[0], Training)]
    waiting = [
        [name for task in tasks if task.needs is training for name in task.names]
        for training in trainings
    ]
    free = [task.names for task in tasks if task.needs is None and task.works[0] not in trainings]
    found = []
    if trainings:
        found.append(_trainings(study, trainings, cluster))
        found.append(_cells(study, "cells of the trainings", waiting, cluster, waits=True))
    if free:
        found.append(_cells(study, "cells of checkpoints", free, cluster))
    return found


def submit(jobs: Sequence[Job]) -> Iterator[str]:
    """Submit jobs in their order; yield a line on each.

    Raises:
        SettingError: The code has changes that no commit holds, or sbatch refuses a job.
        MissingAbility: There is no sbatch.
    """
    if git_state()[1]:
        raise SettingError(
            ["the code has changes that are in no commit"],
            expected="a commit, so that every node can check that it runs the same code",
            hint="git commit; --slurm=print shows the jobs all the same",
        )
    number = ""
    for job in jobs:
        wait = [f"--dependency=aftercorr:{number}", "--kill-on-invalid-dep=yes"]
        after = wait if job.waits else []  # and no longer than for a training that failed
        waits = f", each after its task of job {number}" if job.waits else ""
        number = _run(["sbatch", "--parsable", *after], job.script).split(";")[0].strip()
        yield f"job {number}: {job.title}, {job.tasks} tasks{waits}"


def queue(study: Study) -> list[str]:
    """Return the lines of the queue that are this study's; none where there is no Slurm."""
    names = "%i %T %M %R"
    try:
        text = _run(["squeue", "--me", "-h", f"--name={_name(study)}", "-o", names], "")
    except (MissingAbility, SettingError):
        return []
    return [f"in the queue: {line}" for line in text.splitlines()]


def _cells(
    study: Study, title: str, names: Sequence[Sequence[str]], cluster: Cluster, waits: bool = False
) -> Job:
    """Return an array whose tasks do the named cells."""
    command = shlex.join([*_vitbench(), *cluster.words, "--cell"])
    options = cluster.options(training=False)
    return Job(title, _script(study, options, cluster, command, names), len(names), waits)


def _trainings(study: Study, trainings: Sequence[Training], cluster: Cluster) -> Job:
    """Return an array of trainings; of several nodes each starts its processes by torchrun."""
    options = cluster.options(training=True)
    if int(options.get("nodes", 1)) == 1:
        command = shlex.join([*_vitbench(), *cluster.words, "--cell"])
        words: list[Sequence[str]] = [[training.name] for training in trainings]
    else:
        start = [sys.executable, "-m", "vitbench.torchrun", "--nnodes", str(options["nodes"])]
        start += ["--nproc-per-node", str(options.get("gpus", 1)), "--rdzv-backend", "c10d"]
        head = '"$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)'
        meet = f'--rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint {head}:{PORT}"'
        command = f"srun {shlex.join(start)} {meet} -m vitbench train"
        words = [training.words() for training in trainings]
    text = _script(study, options, cluster, command, words)
    return Job("trainings", text, len(words))


def _script(
    study: Study,
    options: Mapping[str, Any],
    cluster: Cluster,
    command: str,
    words: Sequence[Sequence[str]],
) -> str:
    """Write a batch script: a warning before the end makes the work save, and the job goes on.

    Args:
        study: Names the jobs.
        options: What sbatch is asked for.
        cluster: Where the records are.
        command: What every task runs, without its last words.
        words: The last words of each task.
    """
    logs = cluster.results.resolve() / CELLS / LOGS
    head = [f"--job-name={_name(study)}", f"--array=0-{len(words) - 1}"]
    head += [f"--output={logs}/%x-%A_%a.log", "--open-mode=append"]
    head += ["--requeue", "--signal=B:USR1@120"]
    head += [f"--{sbatch}={options[name]}" for name, sbatch in OPTIONS.items() if name in options]
    head += list(options.get("extra", ()))
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH {line}" for line in head),
            f"cd {shlex.quote(str(Path.cwd()))} || exit 1",
            *_pin(),
            "case $SLURM_ARRAY_TASK_ID in",
            *(f"  {number}) words=({shlex.join(own)}) ;;" for number, own in enumerate(words)),
            "esac",
            f'{command} "${{words[@]}}" &',
            "work=$!",
            "trap 'kill -USR1 $work' USR1; trap 'kill -TERM $work' TERM",
            "while kill -0 $work 2>/dev/null; do wait $work; code=$?; done",
            # the last task has the number of the whole array as its own
            f"case $code in {STOPPED_AFTER_SAVING}|{SIGNALED})"
            ' scontrol requeue "${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID" ;; esac',
            "exit $code",
            "",
        ]
    )


def _pin() -> list[str]:
    """Return the lines that check on the node that the code is of the commit of now."""
    commit, _ = git_state()
    if not commit:
        return []
    root = Path(vitbench.__file__).resolve().parent.parent
    there = f"git -C {shlex.quote(str(root))} rev-parse HEAD"
    refuse = f'{{ echo "the code is not at {commit[:12]}"; exit 2; }}'
    return [f'[ "$({there})" = {commit} ] || {refuse}']


def _vitbench() -> list[str]:
    return [sys.executable, "-m", "vitbench"]


def _name(study: Study) -> str:
    return f"vitbench-{safe_name(study.name)}"


def _run(command: Sequence[str], text: str) -> str:
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=True, timeout=60
        )
    except FileNotFoundError as error:
        raise MissingAbility(
            f"{command[0]} is not there: this machine belongs to no Slurm cluster.",
            hint="--slurm=print shows the jobs, --commands the commands of any other scheduler",
        ) from error
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise SettingError(
            [f"{command[0]} refused a job"],
            found=str(getattr(error, "stderr", "") or error).strip(),
        ) from error
    return done.stdout
