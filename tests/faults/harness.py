"""Work in forked children, each with a limit of memory and time, and what became of it."""

import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vitbench.errors import Terminated, VitbenchError
from vitbench.stop_signals import raising_terminated

MB = 1 << 20
TRACEBACK, REFUSED = 1, 2  # exit codes
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended."""

    code: int  # of its exit; below 0: the signal that ended it
    seconds: float
    said: str

    @property
    def broke(self) -> bool:
        """Whether it was a traceback or a crash, not an error that is told."""
        return self.code == TRACEBACK or self.code < 0


@dataclass
class Child:
    """A child process at work."""

    pid: int
    log: Path
    started: float

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self, timeout: float) -> Ended:
        """Wait for its end; a child that takes longer is killed."""
        deadline = self.started + timeout
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.send(signal.SIGKILL)
                _, status = os.waitpid(self.pid, 0)
                break
            time.sleep(0.002)
        code = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - self.started
        return Ended(code, seconds, self.log.read_text(errors="replace")[-4000:])


def start(work: Callable[[], object], log: Path, *, file_size: int | None = None) -> Child:
    """Begin work in a child.

    Args:
        work: What to do; what it raises becomes an exit code, as on the command line.
        log: Takes what the child prints.
        file_size: Bytes that a file may have, in the place of a small disk.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    log.touch()  # a child may be killed before it opens it
    pid = os.fork()
    if pid:
        return Child(pid, log, time.monotonic())
    code = TRACEBACK
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, file_size))
        code = exit_code(work)
    finally:
        os._exit(code)


def exit_code(work: Callable[[], object]) -> int:
    """Do work and return the exit code that the command line would have."""
    try:
        with raising_terminated():
            work()
        return 0
    except VitbenchError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return error.exit_code
    except KeyboardInterrupt as error:
        return error.exit_code if isinstance(error, Terminated) else 130
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except OSError as error:  # as the command line: a full disk, a file where a folder should be
        traceback.print_exc()
        return REFUSED if error.filename or error.errno in (27, 28) else TRACEBACK
    except BaseException:
        traceback.print_exc()
        return TRACEBACK
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one cheap case."""

    case: int
    verdict: str  # accepted, refused, or what is wrong
    seconds: float
    memory: int  # bytes at most, over what the parent has


def many(
    cases: Sequence[int],
    work: Callable[[int], str],
    *,
    memory: int,
    seconds: float,
    together: int = 100,
) -> Iterator[Outcome]:
    """Do many cheap cases, some in each child; one that ends its child is told as such.

    Args:
        cases: Their numbers.
        work: Does a case and returns its verdict; what it raises is a verdict too.
        memory: Bytes that a child may take beyond its parent.
        seconds: For each case.
        together: Cases of a child.
    """
    left = list(cases)
    while left:
        batch = left[:together]
        done = 0
        for outcome in _batch(batch, work, memory, seconds):
            done += 1
            yield outcome
        left = left[done:]


def _batch(
    cases: Sequence[int], work: Callable[[int], str], memory: int, seconds: float
) -> Iterator[Outcome]:
    """Do cases in one child until the first that ends it."""
    reading, writing = os.pipe()
    before = _resident()
    pid = os.fork()
    if not pid:
        os.close(reading)
        _do(cases, work, memory, writing)
    os.close(writing)
    started = time.monotonic()
    ended = 0
    with os.fdopen(reading, "r") as lines:
        while ended < len(cases):
            ready, _, _ = select.select([lines], [], [], seconds)
            line = lines.readline() if ready else ""
            if not line:
                break
            number, elapsed, peak, verdict = line.rstrip("\n").split("\t", 3)
            yield Outcome(int(number), verdict, float(elapsed), int(peak))
            ended += 1
            started = time.monotonic()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    if ended < len(cases):
        code = os.waitstatus_to_exitcode(status)
        taken = time.monotonic() - started
        verdict = f"takes more than {seconds} s" if taken >= seconds else f"ends with {code}"
        yield Outcome(cases[ended], verdict, taken, used.ru_maxrss * 1024 - before)


def _do(cases: Sequence[int], work: Callable[[int], str], memory: int, writing: int) -> None:
    """Do cases in this child, and tell of each as soon as it is done."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    before, limit = _resident(), _data() + memory
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    for case in cases:
        start = time.monotonic()
        try:
            verdict = work(case)
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            verdict = f"raises {type(error).__name__} at {where}: {error}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
        text = " ".join(verdict.split())[:300]
        line = f"{case}\t{time.monotonic() - start:.3f}\t{peak}\t{text}\n"
        os.write(writing, line.encode(errors="replace"))
    os._exit(0)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _data() -> int:
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if "VmData" in x)
    return int(line.split()[1]) * 1024
