"""Writes RESULTS.md: what the short benchmarks of this folder print, one after another.

python benchmarks/results.py [NAME ...]

A benchmark that ends with another code than 0 missed one of its goals; so does this script then.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.stopwatch import conditions

PAGE = Path(__file__).with_name("RESULTS.md")
SHORT = {
    "startup": ("--rounds", "1"),
    "features": ("--arch", "vit_tiny_patch16_224", "--rounds", "4"),
    "knn": ("--bank", "20000", "--queries", "500"),
    "image_path": (),
    "sanity_check": (),
    "report": ("--records", "1000", "--images", "200"),
    "growth": ("knn-bank", "knn-queries", "turns", "mean-resampled", "ap-by-image"),
}
HEAD = """\
# Measured

Written by `make benchmarks` in {minutes:.0f} minutes; do not edit. Rounds of what is compared
alternate; the least CPU time of a round counts, and (+N %) says how much more the slowest round
took. Longer benchmarks, and those that need checkouts of other projects, are scripts of this folder
too; runs on real files are in `RUNS.md`.

{conditions}
"""


def section(name: str) -> tuple[str, int]:
    """Run one benchmark; return its part of the page and its exit code."""
    words = ("-m", f"benchmarks.{name}", *SHORT[name])
    done = subprocess.run((sys.executable, *words), capture_output=True, text=True, check=False)
    verdict = "" if done.returncode == 0 else f"Exit code {done.returncode}: a goal was missed.\n\n"
    told = done.stdout if done.returncode in (0, 1) else f"{done.stdout}\n{done.stderr[-1000:]}"
    command = " ".join(("python", *words))
    return f"\n## {name}\n\n{verdict}```\n$ {command}\n{told.rstrip()}\n```\n", done.returncode


def main() -> int:
    """Run them and write the page; 1 where one missed a goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*SHORT, []], metavar="NAME")
    start, told = time.monotonic(), conditions()
    parts = []
    for name in parser.parse_args().names or SHORT:
        parts.append(section(name))
        print(f"{name}: exit code {parts[-1][1]}", flush=True)
    head = HEAD.format(minutes=(time.monotonic() - start) / 60, conditions=told)
    PAGE.write_text(head + "".join(text for text, _ in parts), "utf-8")
    return int(any(code for _, code in parts))


if __name__ == "__main__":
    sys.exit(main())
