"""What the commands cost before any work: CPU seconds and peak memory of whole processes.

python benchmarks/startup.py [--rounds N]

Every round runs each command once, one after the other, so a neighbor's load falls on all alike;
the least of the rounds is printed.
"""

import argparse
import os
import subprocess
import sys
from typing import NamedTuple

GOAL_SECONDS = 0.6
HELPS = (
    "--version",
    "--help",
    "list",
    "report --published all",
    "report --help",
    "eval --help",
    "eval knn --help",
    "eval detection --help",
    "eval segmentation --help",
    "train --help",
    "train dino --help",
    "score davis --help",
    "score coco --help",
    "score segmentation --help",
    "check --help",
    "export --help",
    "data pack --help",
    "results ls --help",
    "cache --help",
)
NETWORK = ("check random:vit_mini_patch8_64",)  # imports torch and timm; hardly any work


class Cost(NamedTuple):
    """What one process used."""

    seconds: float  # CPU, user and system
    peak: int  # MB


def cost(command: str) -> Cost:
    """Run one command as a whole process."""
    words = [sys.executable, "-m", "vitbench", *command.split()]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"vitbench {command} ended with code {process.returncode}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    commands = (*HELPS, *NETWORK)
    rounds = [[cost(command) for command in commands] for _ in range(parser.parse_args().rounds)]
    print(f"load {os.getloadavg()[0]:.1f}, goal {GOAL_SECONDS} s for all without a network")
    print(f"{'vitbench':32} {'CPU s':>6} {'MB':>6}")
    for command, costs in zip(commands, zip(*rounds, strict=True), strict=True):
        print(f"{command:32} {min(costs).seconds:6.2f} {max(one.peak for one in costs):6}")


if __name__ == "__main__":
    main()
