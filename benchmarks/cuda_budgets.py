"""What a step or pass asks of a CUDA device, counted on one that is not there, beside what it was.

    python -m benchmarks.cuda_budgets [NAME …]

The cases and the counting are those of `tests/cuda_path`, which fails where a budget is exceeded.
`was` are the counts of commit 8bd9e41 by the same counter, where it could run the case; those of
detection, segmentation and of a frame are of the state before their own redesign.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.stopwatch import conditions
from tests.cuda_path.budgets import BUDGETS
from tests.cuda_path.device import environment, why_not

ROOT = Path(__file__).parents[1]
FRAMES = 3  # of the clip
LEARNED, DETECTED = 3, 4  # images of the detector's step and pass
WAS: dict[str, tuple[float | None, ...]] = {  # waits, blocking copies, kernels, GiB
    "augment": (0, 0, 9325, None),
    "train dino vit-s/16": (0, 2, 2547, 16.4),
    "train selfpatch vit-s/16": (0, 6, 3875, 21.7),
    "train esvit vit-s/16": (0, 2, 3037, 98.8),
    "train moby vit-s/16": (0, 1, 1953, 8.8),
    "train moby-selfpatch vit-s/16": (0, 3, 2606, 13.8),
    "train dino swin-t": (0, 53, 3295, 28.0),
    "train selfpatch swin-t": (0, 74, 4794, None),
    "train moby swin-t": (0, 35, 2472, 14.8),
    "detection step": (36 * LEARNED, 23 * LEARNED, 1434 * LEARNED, None),
    "detection": (58 * DETECTED, 20 * DETECTED, 1114 * DETECTED, None),
    "segmentation": (None, None, 3114, None),
    "davis clip": (135 * FRAMES, None, 919 * FRAMES, None),
    "linear probe": (None, 2, None, None),
    "k-nn": (70, None, None, None),
}


def measured(names: list[str]) -> dict[str, dict[str, Any]]:
    """Run cases in a process that has the fake device; name -> what it counted."""
    command = [sys.executable, "-m", "tests.cuda_path.child"]
    with TemporaryDirectory() as folder:
        done = subprocess.run(
            command,
            env=environment(Path(folder)),
            cwd=ROOT,
            input="\n".join(names),
            capture_output=True,
            text=True,
            check=True,
        )
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def row(name: str, found: dict[str, Any]) -> str:
    """Return a line of the table."""
    if "error" in found:
        return f"| {name} | {found['error'].splitlines()[-1]} |"
    was = WAS.get(name, (None,) * 4)
    pairs = zip(was, found["measured"].values(), astuple(BUDGETS[name]), strict=True)
    cells = (f"{'' if a is None else f'{a:,} → '}{b:,} (≤ {c:,})" for a, b, c in pairs)
    return f"| {name} | {' | '.join(cells)} |"


def main() -> int:
    """Print the table; 1 where a budget is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BUDGETS, []], metavar="NAME")
    names = parser.parse_args().names or list(BUDGETS)
    if reason := why_not():
        print(reason)
        return 1
    print(f"{conditions()}\n\nwas → is (≤ budget)\n")
    print("| case | waits | blocking copies | kernels | GiB |\n| --- | --- | --- | --- | --- |")
    over = False
    for name, found in measured(names).items():
        print(row(name, found), flush=True)
        values = found.get("measured", {}).values()
        over |= any(
            value > most for value, most in zip(values, astuple(BUDGETS[name]), strict=False)
        )
        over |= "error" in found
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
