"""A claim on a cell: one process at a time works on it, wherever it runs.

A claim is a file that is created exclusively, which is safe on NFS too. It tells host and process,
and its time of change is the heartbeat. Who dies without a word leaves a claim whose heart has
stopped; the next one takes it over.
"""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

CLAIM = "claim"
BEAT_SECONDS = 20.0
STALE_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who claims a cell."""

    host: str
    pid: int
    token: str  # of this claim alone
    age: float  # seconds since the last heartbeat

    @property
    def alive(self) -> bool:
        """Whether the heart still beats; on this machine, whether the process is there."""
        if self.host == socket.gethostname() and not _is_there(self.pid):
            return False
        return self.age < STALE_SECONDS


def holder(folder: Path) -> Holder | None:
    """Return who claims a cell; None where nobody does."""
    path = folder / CLAIM
    try:
        told = json.loads(path.read_text())
        age = _now(folder) - path.stat().st_mtime
        return Holder(str(told["host"]), int(told["pid"]), str(told["token"]), age)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):  # being written, or cut off by a full disk
        return _unreadable(path)


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim a cell for the time of the block; False where another living process has it."""
    folder.mkdir(parents=True, exist_ok=True)
    token = uuid4().hex
    if not _take(folder, token):
        yield False
        return
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(folder / CLAIM, done, os.getppid()), daemon=True)
    heart.start()
    try:
        yield True
    finally:
        done.set()
        heart.join()
        release(folder, token)


def release(folder: Path, token: str) -> None:
    """Remove a claim if it is still the one of this token."""
    found = holder(folder)
    if found is not None and found.token == token:
        (folder / CLAIM).unlink(missing_ok=True)


def _take(folder: Path, token: str) -> bool:
    path = folder / CLAIM
    for _ in range(2):  # the second time after a dead claim was put away
        if _create(path, token):
            return True
        found = holder(folder)
        if found is not None and (found.alive or not _put_away(path, found.token)):
            return False
    return False


def _create(path: Path, token: str) -> bool:
    """Create the file with its whole text, or not at all: a hard link to a finished file."""
    text = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": token})
    written = path.with_name(f".{CLAIM}.{token}")
    written.write_text(text)
    try:
        os.link(written, path)
        return True
    except FileExistsError:
        return False
    finally:
        written.unlink()


def _put_away(path: Path, token: str) -> bool:
    """Remove a dead claim; False if it was another's by then, which is put back."""
    aside = path.with_name(f".{CLAIM}.dead.{uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:  # another was faster
        return True
    try:
        mine = bool(json.loads(aside.read_text()).get("token") == token)
    except (OSError, ValueError):
        mine = not token
    if not mine:
        with suppress(FileExistsError):
            os.link(aside, path)
    aside.unlink(missing_ok=True)
    return mine


def _beat(path: Path, done: threading.Event, parent: int) -> None:
    """Touch the claim until the work is done; end the process if its parent is gone."""
    while not done.wait(BEAT_SECONDS):
        with suppress(OSError):
            os.utime(path)
        if parent != 1 and os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _unreadable(path: Path) -> Holder | None:
    try:
        return Holder("", 0, "", time.time() - path.stat().st_mtime)
    except FileNotFoundError:
        return None


def _now(folder: Path) -> float:
    """Return the time by the clock of the file server."""
    probe = folder / f".clock.{uuid4().hex}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:  # a folder that can only be read
        return time.time()
    finally:
        probe.unlink(missing_ok=True)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
