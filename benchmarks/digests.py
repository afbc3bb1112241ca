"""Identity of data by content: hashing against `sha256sum`, and what a second run costs.

    python benchmarks/digests.py --files 50000 --bytes 8192 --workers 2

Files are written to a temporary folder (which is in memory where /tmp is), hashed by us with the
workers given and by `sha256sum` with as many processes, in turns; the best of each counts.
"""

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from vitbench.data import content
from vitbench.data.content import Digests


@dataclass(frozen=True)
class Given:
    """What to measure."""

    files: int = 50_000
    bytes: int = 8192
    workers: int = 2
    rounds: int = 3


def main(given: Given) -> None:
    """Print both speeds, their ratio, and the CPU time of a second look."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ["VITBENCH_CACHE"] = str(root / "cache")
        content.SETTLED_NS = -(10**18)  # the files are fresh; count them as old ones
        files = [root / "data" / f"{number // 1000}" / f"{number}" for number in range(given.files)]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(os.urandom(given.bytes))
        ours, theirs = [], []
        for number in range(given.rounds):
            start = time.perf_counter()
            digests = Digests(root / f"round{number}", given.workers).of(files)
            ours.append(time.perf_counter() - start)
            theirs.append(_sha256sum(root / "data", given.workers))
        second = time.process_time()
        again = Digests(root / "round0", given.workers).of(files)
        second = time.process_time() - second
        assert again == digests
    megabytes = given.files * given.bytes / 1e6
    print(f"{given.files:,} files of {given.bytes:,} bytes, {given.workers} workers, load "
          f"{os.getloadavg()[0]:.1f}")  # fmt: skip
    print(f"ours       {min(ours):6.2f} s  {megabytes / min(ours):7.0f} MB/s")
    print(f"sha256sum  {min(theirs):6.2f} s  {megabytes / min(theirs):7.0f} MB/s")
    print(f"ratio      {min(theirs) / min(ours):6.2f}  (1: as fast; above: faster)")
    print(f"second run {second:6.2f} s of CPU, no file read")


def _sha256sum(folder: Path, workers: int) -> float:
    command = f"find {folder} -type f -print0 | xargs -0 -P {workers} -n 256 sha256sum"
    start = time.perf_counter()
    subprocess.run(["sh", "-c", command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main(tyro.cli(Given))
