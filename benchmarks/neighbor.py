"""How much a long command loses beside a process that takes one of the cores.

    python benchmarks/neighbor.py [--seconds 60] [COMMAND …]

Runs a fine-tuning of detection, or any `vitbench eval` that logs its images a second, alone and
beside a busy loop on one core, each for a while: first as vitbench waits (threads sleep), then as
OpenMP waits by default (threads spin). Exit code 1 where the first is more than 2.5 times slower.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.verdict import told

COMMAND = (
    "eval",
    "detection",
    "random:vit_tiny_patch16_224",
    "--preset",
    "small",
    "--data",
    "synthetic",
    "--device",
    "cpu",
)
OURS = "threads sleep"
POLICIES = {OURS: "passive", "threads spin": "active"}
MOST = 2.5  # times slower with one of two cores taken


def main() -> int:
    """Print images a second, alone and not, and their ratio; 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    times: dict[str, float] = {}
    for title, policy in POLICIES.items():
        alone = rate(given.command or COMMAND, policy, given.seconds)
        busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        try:
            beside = rate(given.command or COMMAND, policy, given.seconds)
        finally:
            busy.kill()
            busy.wait()
        times[title] = alone / beside
        print(f"{title:14} alone {alone:6.2f} images/s, beside a busy process {beside:6.2f}, "
              f"ratio {times[title]:.1f}", flush=True)  # fmt: skip
    what = f"`eval {(given.command or COMMAND)[1]}` beside a process that takes a core"
    return int(not told(what, times[OURS], MOST, "times slower"))


def rate(command: tuple[str, ...] | list[str], policy: str, seconds: int) -> float:
    """Return the median images a second that a command logs until it is stopped."""
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        whole = [sys.executable, "-m", "vitbench", *command, "--results", folder]
        environment = {**os.environ, "OMP_WAIT_POLICY": policy}
        running = subprocess.Popen(whole, env=environment, stdout=subprocess.DEVNULL)
        found: list[float] = []
        end = time.monotonic() + 4 * seconds  # the first step comes after the imports
        while running.poll() is None and time.monotonic() < end:
            time.sleep(1)
            found = logged(Path(folder))
            if len(found) == 1:
                end = min(end, time.monotonic() + seconds)
        running.send_signal(signal.SIGKILL)
        running.wait()
    if not found:
        sys.exit("no step was logged: more --seconds")
    return sorted(found)[len(found) // 2]


def logged(folder: Path) -> list[float]:
    """Return the images a second of every line of the log that has them."""
    lines = [line for path in folder.rglob("metrics.jsonl") for line in path.open()]
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row["images_per_second"] for row in rows if "images_per_second" in row]


if __name__ == "__main__":
    sys.exit(main())
