"""Jobs that are killed, asked to stop, short of disk or beside one another: all end as unbroken."""

import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

from tests.faults.harness import TRACEBACK, Child, Ended, start
from tests.faults.jobs import Data, Work, outcome, report
from vitbench import distributed
from vitbench.errors import INTERRUPTED, STOPPED_AFTER_SAVING
from vitbench.records import Unreadable, read_records

TIMEOUT = 300.0  # seconds for a job of one
ASKED = {
    signal.SIGTERM: STOPPED_AFTER_SAVING,
    signal.SIGUSR1: STOPPED_AFTER_SAVING,
    signal.SIGINT: INTERRUPTED,
}
SAME_BITS = frozenset(  # jobs whose scores no number of processes moves
    {"knn", "linear probe, sweep", "davis", "segmentation, knn", "segmentation, linear"}
)
DISKS = (16, 64, 256, 1024, 4096, 20_000)  # kB


@dataclass(frozen=True, slots=True)
class Unbroken:
    """A job that was not disturbed: what it makes and how long it takes."""

    name: str
    work: Work
    made: Mapping[str, str]
    seconds: float


@dataclass
class Trials:
    """Does jobs in folders of their own, and keeps what went wrong."""

    root: Path
    data: Data
    failures: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    longest: float = 0.0
    number: int = 0

    def begin(self, work: Work, folder: Path, *, file_size: int | None = None) -> Child:
        """Begin a job; its cache is beside its results."""
        folder.mkdir(parents=True, exist_ok=True)

        def child() -> None:
            environ["VITBENCH_CACHE"] = str(folder / "cache")
            environ["XDG_CACHE_HOME"] = str(folder / "cache of the user")
            synthetic = folder / "cache" / "synthetic-v1"
            if not synthetic.exists():
                synthetic.parent.mkdir(exist_ok=True)
                with suppress(FileExistsError):
                    synthetic.symlink_to(self.root / "built-in")
            work(self.data, folder)

        return start(child, self.root / f"{folder.name}.log", file_size=file_size)

    def unbroken(self, name: str, work: Work) -> Unbroken:
        """Do a job twice, the second time warm, and keep what it makes."""
        folder = self.root / "unbroken" / name
        ended = self.begin(work, folder).wait(TIMEOUT)
        assert ended.code == 0, f"{name}: {ended.said}"
        return Unbroken(name, work, _made(folder), ended.seconds)

    def killed(self, job: Unbroken, draw: random.Random) -> None:
        """Kill a job at a random moment, do it again, and compare."""
        folder = self._folder()
        self._pause_and_send(self.begin(job.work, folder), job, draw, signal.SIGKILL)
        self._same(job, folder, "kill")

    def asked(self, job: Unbroken, draw: random.Random) -> None:
        """Ask a job to stop at a random moment; it says so, goes on, and ends the same."""
        folder, number = self._folder(), draw.choice(list(ASKED))
        ended = self._pause_and_send(self.begin(job.work, folder), job, draw, number)
        if ended.code not in (0, ASKED[number]):
            self._fail("signal", job, f"{number.name} ends with {ended.code}: {ended.said}")
        self._same(job, folder, "signal")

    def on_a_small_disk(self, job: Unbroken, draw: random.Random) -> None:
        """Do a job where there is hardly any room: one clear error, and the next run mends."""
        folder, size = self._folder(), draw.choice(DISKS)
        with small_disk(folder, size) as limit:
            ended = self.begin(job.work, folder, file_size=limit).wait(TIMEOUT)
            if ended.code == TRACEBACK or ended.code < 0:
                self._fail("disk", job, f"{size} kB ends with {ended.code}: {ended.said}")
            kept = self.root / "kept"
            shutil.rmtree(kept, ignore_errors=True)
            shutil.copytree(folder, kept, symlinks=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(kept, folder)
        self._same(job, folder, "disk")

    def beside(self, job: Unbroken, draw: random.Random) -> None:
        """Do a job two or three times at once, while reports are written and the cache cleared."""
        folder, count = self._folder(), draw.choice((2, 3))
        together = [self.begin(job.work, folder) for _ in range(count)]
        together.append(self.begin(_clear_runs, folder))
        for _ in range(2):
            together.append(self.begin(lambda _, place: report(place), folder))
            time.sleep(job.seconds * draw.random() / 2)
        for child in together:
            ended = child.wait(TIMEOUT)
            if ended.code and not (job.name.startswith("train") and ended.code == 2):
                self._fail("beside", job, f"ends with {ended.code}: {ended.said}")
        self._same(job, folder, "beside")

    def by_processes(self, job: Unbroken, draw: random.Random) -> None:
        """Share a job among two or three processes; now and then one of them is killed."""
        if job.name not in SAME_BITS:
            return
        parts = (2,) if job.name == "segmentation, linear" else (2, 3)  # its batch is of 4 images
        folder, count, port = self._folder(), draw.choice(parts), _free_port()
        together = [
            self.begin(_as_rank(job.work, rank, count, port), folder) for rank in range(count)
        ]
        kills = draw.random() < 0.5
        if kills:
            time.sleep(2 * job.seconds * draw.random())
            draw.choice(together).send(signal.SIGKILL)
        for child in together:
            ended = child.wait(30.0 if kills else TIMEOUT)
            if ended.code and not kills:
                self._fail("processes", job, f"ends with {ended.code}: {ended.said}")
        self._same(job, folder, "processes")

    def on_a_read_only_cache(self, job: Unbroken, draw: random.Random) -> None:
        """Do a job with the warm cache of another run, which can't be written."""
        folder, first = self._folder(), self._folder()
        ended = self.begin(job.work, first).wait(TIMEOUT)
        if ended.code:
            self._fail("read-only", job, f"ends with {ended.code}: {ended.said}")
        with read_only(first / "cache") as mounted:
            if mounted:
                folder.mkdir()
                (folder / "cache").symlink_to(first / "cache")
                self.begin(job.work, folder).wait(TIMEOUT)
                if (folder / "cache of the user" / "vitbench" / "features").exists():
                    self._fail("read-only", job, "features are made again")
                self._same(job, folder, "read-only")
        shutil.rmtree(first, ignore_errors=True)

    def _pause_and_send(
        self, child: Child, job: Unbroken, draw: random.Random, number: signal.Signals
    ) -> Ended:
        time.sleep(job.seconds * draw.random())
        child.send(number)
        return child.wait(TIMEOUT)

    def _same(self, job: Unbroken, folder: Path, kind: str) -> None:
        """Do the job to its end and compare with the unbroken one; then look at what is left."""
        ended = self.begin(job.work, folder).wait(TIMEOUT)
        self.longest = max(self.longest, ended.seconds)
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if ended.code:
            self._fail(kind, job, f"done again, it ends with {ended.code}: {ended.said}")
        else:
            made = _made(folder)
            other = sorted(name for name in {*made} | {*job.made}
                           if made.get(name) != job.made.get(name))  # fmt: skip
            if other:
                self._fail(kind, job, f"other files: {other[:5]}")
            for text in leftovers(folder):
                self._fail(kind, job, text)
        shutil.rmtree(folder, ignore_errors=True)

    def _folder(self) -> Path:
        self.number += 1
        return self.root / f"trial-{self.number}"

    def _fail(self, kind: str, job: Unbroken, text: str) -> None:
        self.failures.append(f"{kind}, {job.name}: {text}")
        print(f"failed: {self.failures[-1]}", file=sys.stderr, flush=True)


def _clear_runs(_: Data, folder: Path) -> None:
    """Clear what is kept of runs and features, as a user does at the wrong moment."""
    from vitbench.engine import cached

    time.sleep(0.2)
    for entry in list(cached.entries(("runs", "features", "gate", "digests"))):
        cached.remove(entry)


def _as_rank(work: Work, rank: int, count: int, port: int) -> Work:
    """Return the part of one process in a job."""

    def part(data: Data, folder: Path) -> None:
        environ.update(RANK=str(rank), WORLD_SIZE=str(count), LOCAL_RANK=str(rank))
        environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        with distributed.process_group(timeout_minutes=2):
            work(data, folder)

    return part


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _made(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in outcome(folder).items() if name[:5] != "cache"}


def leftovers(folder: Path) -> Iterator[str]:
    """Name what a finished job must not leave: temporary files, locks, records that are none."""
    time.sleep(0.01)
    for path in folder.rglob("*"):
        if path.name.endswith(".part") or path.name == "lock" or path.name.startswith(".removed-"):
            yield f"left over: {path.relative_to(folder)}"
    for found in read_records(folder / "results"):
        if isinstance(found, Unreadable):
            yield f"no record: {found.path.name}, {found.reason}"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[int | None]:
    """Mount a disk of so many kB; where that is not allowed, give the size a file may have."""
    folder.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(folder)]
    mounted = not subprocess.run(words, capture_output=True, check=False).returncode
    try:
        yield None if mounted else size * 1024
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[bool]:
    """Make a folder one that can't be written, and tell whether that is allowed."""
    words = ["mount", "--bind", str(folder), str(folder)]
    mounted = not subprocess.run(words, capture_output=True, check=False).returncode
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(folder)], check=True)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


KINDS: dict[str, Callable[[Trials, Unbroken, random.Random], None]] = {
    "kill": Trials.killed,
    "signal": Trials.asked,
    "disk": Trials.on_a_small_disk,
    "beside": Trials.beside,
    "processes": Trials.by_processes,
    "read-only": Trials.on_a_read_only_cache,
}
