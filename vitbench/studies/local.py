"""Run a study on this machine: one process a task, several at a time."""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from vitbench.engine.options import Reporter
from vitbench.errors import INTERRUPTED, STOPPED_AFTER_SAVING
from vitbench.studies.cell_state import (
    LOG,
    State,
    Work,
    folder_of,
    keep,
    read_kept,
    state_of,
    states_of,
)
from vitbench.studies.lease import release
from vitbench.studies.matrix import Study
from vitbench.studies.processes import Main, start
from vitbench.studies.tasks import Task, tasks_of
from vitbench.studies.training_row import Training

POLL_SECONDS = 0.3
TAIL = 2000  # letters of a log that an error quotes


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one task runs at a time."""

    device: str  # auto, cpu, cuda:N
    cores: tuple[int, ...] = ()  # that its process is kept to; none: any


@dataclass(frozen=True, slots=True)
class _Running:
    task: Task
    process: BaseProcess
    slot: Slot


def slots(jobs: int, devices: Sequence[str]) -> list[Slot]:
    """Return the places for tasks: one a device, else so many shares of this machine's cores."""
    if devices:
        return [Slot(name if ":" in name or name == "cpu" else f"cuda:{name}") for name in devices]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if jobs == 1 or len(cores) < jobs:
        return [Slot("auto")] * jobs
    return [Slot("auto", tuple(cores[number::jobs])) for number in range(jobs)]


class Local:
    """Runs what is left of a study.

    Args:
        study: The study.
        results: The folder of the records.
        main: Runs a command of vitbench.
        words: The command of the study, to which the names of cells are added.
        places: Where tasks run.
        reporter: Told what happens and how far it is.
    """

    def __init__(
        self,
        study: Study,
        results: Path,
        main: Main,
        words: Sequence[str],
        places: Sequence[Slot],
        reporter: Reporter,
    ) -> None:
        self.study, self.results, self.reporter = study, results, reporter
        self.main, self.words = main, list(words)
        self.free, self.running = list(places), list[_Running]()
        self.stopped = 0

    def run(self) -> int:
        """Run every task; return 0, 2 where a cell failed, or 75 or 130 where it was stopped."""
        left = tasks_of(self.study, states_of(self.results, self.study), len(self.free))
        self.total = sum(len(task.works) for task in left)
        self.tried: set[Work] = set()
        told = False
        with self._signals():
            while (left or self.running) and not (self.stopped and not self.running):
                left = [task for task in self._started(left) if task.works]
                if left and not self.running and not self.stopped:
                    left = self._without_hope(left)
                    if left and not told:
                        self.reporter.log("waiting for cells that other processes work on")
                        told = True
                left += self._reaped()
                self._tell(left)
                time.sleep(POLL_SECONDS)
        if self.stopped:
            return INTERRUPTED if self.stopped == signal.SIGINT else STOPPED_AFTER_SAVING
        states = states_of(self.results, self.study).values()
        return 2 if any(state.kind == "failed" for state in states) else 0

    def _tell(self, left: Sequence[Task]) -> None:
        """Show how much is done, and how far the trainings are that run."""
        works = [work for one in self.running for work in one.task.works]
        open_ = [work for work in works if state_of(self.results, work).kind != "done"]
        done = self.total - len(open_) - sum(len(task.works) for task in left)
        self.reporter.progress(self.study.name, done, self.total, "parts")
        for work in open_:
            steps, planned = work.progress if isinstance(work, Training) else (0, 0)
            if planned:
                self.reporter.progress(f"training {work.name}", steps, planned)

    def _started(self, left: list[Task]) -> list[Task]:
        """Start what can be started; return what can't yet."""
        waiting = []
        for task in left:
            ready = self._ready(task) if self.free and not self.stopped else None
            if ready is None:
                waiting.append(task)
            elif ready.works:
                self._start(ready, self.free.pop(0))
                rest = tuple(work for work in task.works if work not in ready.works)
                waiting += [replace(task, works=rest)] if rest else []
        return waiting

    def _ready(self, task: Task) -> Task | None:
        """Return the works of a task that nobody does or has done; None: it must wait."""
        if task.needs is not None and state_of(self.results, task.needs).kind != "done":
            return None
        kinds = {work: state_of(self.results, work).kind for work in task.works}
        open_ = tuple(work for work, kind in kinds.items() if kind not in {"done", "running"})
        if not open_ and "running" in kinds.values():
            return None
        return replace(task, works=open_)

    def _without_hope(self, left: list[Task]) -> list[Task]:
        """Leave out what waits for a training that failed in this command."""
        kept = []
        for task in left:
            needed = task.needs
            if needed in self.tried and state_of(self.results, needed).kind == "failed":
                self.reporter.log(f"left out, since its training failed: {task.title}")
            else:
                kept.append(task)
        return kept

    def _start(self, task: Task, slot: Slot) -> None:
        log = folder_of(self.results, task.works[0]) / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        words = [*self.words, "--cell", *task.names, "--device", slot.device]
        try:
            process = start(self.main, words, log, slot.cores)
        except (EOFError, OSError):  # a signal to all processes has ended the server too
            if not self.stopped:
                raise
            return
        self.reporter.log(f"started {task.title}  ({log})")
        self.tried.update(task.works)
        self.running.append(_Running(task, process, slot))
        if self.stopped:  # while it was being started
            process.terminate()

    def _reaped(self) -> list[Task]:
        """Take account of the processes that have ended; return what is left of their tasks."""
        again = []
        for one in [one for one in self.running if one.process.exitcode is not None]:
            self.running.remove(one)
            self.free.append(one.slot)
            code = one.process.exitcode or 0
            states = {work: state_of(self.results, work) for work in one.task.works}
            for work, state in states.items():
                if state.kind == "done":
                    self.reporter.log(_line_of(work, state))
                elif state.kind == "failed":
                    self.reporter.log(
                        f"failed: {work.name}: {state.error}\n  again: {state.command}"
                    )
            rest = [work for work, state in states.items() if state.kind in {"missing", "stale"}]
            if rest and not self.stopped and code != STOPPED_AFTER_SAVING:
                rest = self._died(one.task, rest, states, code)
            rest += [work for work, state in states.items() if state.kind == "running"]
            if rest and not self.stopped:
                again.append(replace(one.task, works=tuple(rest)))
        return again

    def _died(
        self, task: Task, rest: list[Work], states: dict[Work, State], code: int
    ) -> list[Work]:
        """Write down what a process was at when it died; return what it had not begun."""
        at = [work for work in rest if states[work].kind == "stale"] or rest
        why = f"the process was ended by signal {-code}" if code < 0 else f"it ended with {code}"
        log = folder_of(self.results, task.works[0]) / LOG
        tail = log.read_text(errors="replace")[-TAIL:].strip().splitlines()[-3:]
        for work in at:
            folder, who = folder_of(self.results, work), states[work].holder
            if who is not None:
                release(folder, who.token)
            command = " ".join(["vitbench", *self.words, "--cell", repr(work.name)])
            error = "; ".join([why, *tail])
            kept = replace(read_kept(folder), study=self.study.name, name=work.name)
            keep(folder, replace(kept, error=error, command=command))
            self.reporter.log(f"failed: {work.name}: {error}")
        return [work for work in rest if work not in at]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Pass a wish to stop on to the processes, and let them save."""

        def stop(number: int, _: FrameType | None) -> None:
            self.stopped = number
            for one in self.running:
                one.process.terminate()

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _line_of(work: Work, state: State) -> str:
    score = state.record.primary() if state.record else None
    value = "" if score is None or score.value is None else f"  {score.label} {score.value:.2f}"
    return f"done: {work.name}{value}  ({state.seconds:.0f} s)"
