"""What a piece of work takes in a process of its own: seconds of CPU time, and memory."""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Work = Callable[[], object]
Prepare = Callable[[Path], Work]  # an empty folder -> what is measured


def measured(what: str, prepare: Prepare) -> tuple[float, float]:
    """Fork, prepare, and measure the work.

    Args:
        what: It is, for the message if it fails.
        prepare: Makes what the work reads, which is not measured.

    Returns:
        Seconds of CPU time, and the most bytes that it took beyond what was there before.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
                os.environ["VITBENCH_CACHE"] = f"{folder}/cache"
                work = prepare(Path(folder) / "data")
                Path("/proc/self/clear_refs").write_text("5")  # the highest memory starts from here
                before, start = _memory("VmRSS"), time.process_time()
                work()
                seconds = time.process_time() - start
                os.write(write, f"{seconds} {_memory('VmHWM') - before}".encode())
                status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as stream:
        told = stream.read()
    if os.waitpid(child, 0)[1]:
        sys.exit(f"{what} failed")
    seconds, taken = map(float, told.split())
    return seconds, taken


def _memory(name: str) -> float:
    """Return one of Linux's figures of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith(name))
