"""How long the commands that need no torch take to answer: medians over whole processes.

python benchmarks/startup.py [--runs N]
"""

import argparse
import statistics
import subprocess
import sys
import time

GOAL_SECONDS = 0.6
COMMANDS = (("--help",), ("list", "protocols"), ("report",))


def median_seconds(arguments: tuple[str, ...], runs: int) -> float:
    """Time one command as a whole process; a warm-up run is not counted."""
    seconds = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "vitbench", *arguments], capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    floor = median_seconds(("--version",), runs)
    print(f"{'vitbench --version':28} {floor:6.2f} s  (the interpreter and the parser)")
    for command in COMMANDS:
        seconds = median_seconds(command, runs)
        print(f"{'vitbench ' + ' '.join(command):28} {seconds:6.2f} s  goal {GOAL_SECONDS} s")


if __name__ == "__main__":
    main()
