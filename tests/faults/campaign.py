"""The campaign: `python -m tests.faults.campaign --minutes 60`; exits with 1 if anything failed.

Damaged files of every kind, kills, signals, small disks and jobs beside one another, by turns until
the time is over. Every trial follows from the seed and its number; only moments are the machine's.
`--fast` does a few of each, and all that once failed, in about a minute.
"""

import argparse
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.harness import Outcome
from tests.faults.honest import within
from tests.faults.jobs import Data, jobs
from tests.faults.mutated import FINE, Damaged
from tests.faults.readers import READERS
from tests.faults.stopped import KINDS, Trials, Unbroken
from vitbench.data.synthetic.store import synthetic_folder

SLICE = 30  # damaged files of one kind before it is the next one's turn
FILES, KILLS = 0.2, 0.45  # of the time; the other ways have the rest
FEW = 10  # damaged files of each kind in the fast part
FAST_JOBS = {"knn": ("kill", "signal", "disk", "beside"), "davis": ("kill",)}
MEMORY_DISK = Path("/dev/shm")


@dataclass
class Figures:
    """What was tried and seen."""

    seed: int
    seconds: float = 0.0
    files: dict[str, dict[str, int]] = field(default_factory=dict)  # kind -> verdict -> times
    largest_memory_mb: float = 0.0  # of a reader
    longest_read: float = 0.0  # seconds
    trials: dict[str, int] = field(default_factory=dict)  # kill, signal, disk, beside
    failures: list[str] = field(default_factory=list)

    def take(self, name: str, outcomes: Iterable[Outcome]) -> None:
        """Count what became of damaged files of one kind."""
        told = Counter(self.files.get(name, {}))
        for found in outcomes:
            fine = found.verdict in FINE
            told[found.verdict if fine else "failed"] += 1
            self.largest_memory_mb = max(self.largest_memory_mb, found.memory / 2**20)
            self.longest_read = max(self.longest_read, found.seconds)
            if not fine:
                self.failures.append(f"{name} {found.case}: {found.verdict}")
        self.files[name] = dict(told)

    @property
    def count(self) -> int:
        """All trials."""
        return sum(sum(one.values()) for one in self.files.values()) + sum(self.trials.values())


def campaign(
    seconds: float, seed: int, only: Sequence[str] = (), names: Sequence[str] = ()
) -> Figures:
    """Try for so many seconds: damaged files, then kills, then the other ways.

    Args:
        seconds: At least; what is begun is ended.
        seed: Of all draws.
        only: `files` and names of `KINDS`; all of them where none is named.
        names: Jobs; all of them where none is named.
    """
    start, figures = time.monotonic(), Figures(seed)
    where = MEMORY_DISK if os.access(MEMORY_DISK, os.W_OK) else None
    root = Path(tempfile.mkdtemp(prefix="vitbench-faults-", dir=where))
    asked = only or ("files", *KINDS)
    others = [kind for kind in KINDS if kind in asked and kind != "kill"]
    parts = (
        FILES * ("files" in asked),
        KILLS * ("kill" in asked),
        (1 - FILES - KILLS) * bool(others),
    )
    ends = [start + seconds * share / sum(parts) for share in itertools.accumulate(parts)]
    try:
        _files(figures, root / "files", ends[0])
        if time.monotonic() < ends[2]:
            _trials(figures, root, {("kill",): ends[1], tuple(others): ends[2]}, names)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    figures.seconds = time.monotonic() - start
    return figures


def fast(seed: int) -> Figures:
    """Try a few of everything, whatever the time, and what once failed."""
    start, figures = time.monotonic(), Figures(seed)
    root = Path(tempfile.mkdtemp(prefix="vitbench-faults-"))
    try:
        for one in _damaged(root / "files"):
            figures.take(one.reader.name, one.cases(range(FEW)))
            figures.take(one.reader.name, one.corpus())
        trials, draw = _prepared(root), random.Random(seed)
        for name, kinds in FAST_JOBS.items():
            job = trials.unbroken(name, jobs()[name])
            for kind in kinds:
                KINDS[kind](trials, job, draw)
        figures.trials, figures.failures = trials.counts, figures.failures + trials.failures
    finally:
        shutil.rmtree(root, ignore_errors=True)
    figures.seconds = time.monotonic() - start
    return figures


def _damaged(root: Path) -> list[Damaged]:
    return [Damaged.of(reader, root) for reader in READERS]


def _files(figures: Figures, root: Path, end: float) -> None:
    """Damage files of each kind by turns."""
    if time.monotonic() >= end:
        return
    kinds = _damaged(root)
    for one in kinds:
        figures.take(one.reader.name, one.corpus())
    first = figures.seed * 1_000_000
    while time.monotonic() < end:
        for one in kinds:
            figures.take(one.reader.name, one.cases(range(first, first + SLICE)))
        first += SLICE


def _prepared(root: Path) -> Trials:
    """Write the data of all jobs, and draw the images of the sanity check once."""
    trials = Trials(root, Data.write(root / "data"))
    with within(root / "first"):
        synthetic_folder("classification")
    (root / "first" / "synthetic-v1").rename(root / "built-in")
    return trials


def _trials(
    figures: Figures, root: Path, ends: Mapping[tuple[str, ...], float], names: Sequence[str]
) -> None:
    """Disturb jobs until an end for each set of ways: all jobs in one way, then in the next."""
    draw, trials = random.Random(figures.seed), _prepared(root)
    works = {name: work for name, work in jobs().items() if not names or name in names}
    known: dict[str, Unbroken] = {}
    try:
        for kinds, end in ends.items():
            for kind, name in itertools.cycle(itertools.product(kinds, works)):
                if time.monotonic() >= end:
                    break
                known[name] = known.get(name) or trials.unbroken(name, works[name])
                KINDS[kind](trials, known[name], draw)
                _tell(trials)
    finally:
        figures.trials, figures.failures = trials.counts, [*figures.failures, *trials.failures]


def _tell(trials: Trials) -> None:
    print(f"{trials.counts}, {len(trials.failures)} failures", file=sys.stderr, flush=True)


def main() -> int:
    """Run the campaign and print its figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=(), choices=["files", *KINDS])
    parser.add_argument("--jobs", nargs="*", default=())
    parser.add_argument("--fast", action="store_true")
    given = parser.parse_args()
    figures = (
        fast(given.seed)
        if given.fast
        else campaign(60 * given.minutes, given.seed, given.only, given.jobs)
    )
    shown: dict[str, Any] = {"trials in all": figures.count, **asdict(figures)}
    print(json.dumps(shown, indent=1))
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
