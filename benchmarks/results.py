"""Writes RESULTS.md: what the short benchmarks of this folder print, one after another.

python benchmarks/results.py [NAME ...]

A benchmark that ends with another code than 0 missed one of its goals; so does this script then.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks.stopwatch import conditions
from benchmarks.verdict import BAR

PAGE = Path(__file__).with_name("RESULTS.md")
SHORT = {
    "startup": ("--rounds", "4"),
    "features": ("--arch", "vit_tiny_patch16_224", "vit_small_patch16_224", "--rounds", "6"),
    "knn": ("--bank", "20000", "--queries", "500"),
    "image_path": (),
    "sanity_check": (),
    "linear_sweep": (),
    "report": ("--records", "1000"),
    "adjacency": ("--images", "50"),
    "dense_knn": (),
    "opening": (),
    "memory": (),
    "growth": ("knn-bank", "knn-queries", "turns", "mean-resampled", "ap-by-image"),
}
HEAD = """\
# Measured

Written by `make benchmarks` in {minutes:.0f} minutes; do not edit. Rounds of what is compared
alternate; the least CPU time of a round counts, and (+N %) says how much more the slowest round
took. Longer benchmarks, and those that need checkouts of other projects, are scripts of this folder
too; runs on real files are in `RUNS.md`.

{conditions}

| what | goal | found | | `python -m` |
| --- | --- | --- | --- | --- |
{rows}"""


class Section(NamedTuple):
    """What one benchmark leaves."""

    text: str  # its part of the page
    rows: str  # its part of the table
    code: int  # it ended with


def section(name: str) -> Section:
    """Run one benchmark, with bytecode, as installed programs run."""
    words = ("-m", f"benchmarks.{name}", *SHORT[name])
    done = subprocess.run(
        (sys.executable, *words),
        env={key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        capture_output=True,
        text=True,
        check=False,
    )
    verdict = "" if done.returncode == 0 else f"Exit code {done.returncode}: a goal was missed.\n\n"
    told = done.stdout + (done.stderr[-1000:] if done.returncode else "")  # it may have crashed
    command = " ".join(("python", *words))
    lines = told.splitlines()
    rows = [f"{row} `benchmarks.{name}` {BAR}\n" for row in lines if row.startswith(BAR)]
    rest = "\n".join(line for line in lines if not line.startswith(BAR))
    text = f"\n## {name}\n\n{verdict}```\n$ {command}\n{rest.rstrip()}\n```\n"
    return Section(text, "".join(rows), done.returncode)


def main() -> int:
    """Run them and write the page; 1 where one missed a goal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*SHORT, []], metavar="NAME")
    start, told = time.monotonic(), conditions()
    parts = []
    for name in parser.parse_args().names or SHORT:
        parts.append(section(name))
        print(f"{name}: exit code {parts[-1].code}", flush=True)
    rows, minutes = "".join(part.rows for part in parts), (time.monotonic() - start) / 60
    head = HEAD.format(minutes=minutes, conditions=told, rows=rows)
    PAGE.write_text(head + "".join(part.text for part in parts), "utf-8")
    return int(any(part.code for part in parts))


if __name__ == "__main__":
    sys.exit(main())
