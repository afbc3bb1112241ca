"""What the commands cost before any work: CPU seconds and peak memory of whole processes.

python benchmarks/startup.py [--rounds N]

Every round runs each command once, one after the other, so a neighbor's load falls on all alike;
the least of the rounds counts. A round before them writes the bytecode of what they import, as an
installation does, and the records and verdicts that some of them find.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.verdict import told

VITBENCH = (sys.executable, "-m", "vitbench")
ARCH = "vit_mini_patch8_64"
WEIGHTS, MASKS, LABELS, BOXES = "weights.safetensors", "masks", "labels", "boxes.json"


class Row(NamedTuple):
    """Commands that share a goal: the dearest of them has to meet it."""

    what: str
    most: float  # seconds of CPU time
    commands: Sequence[str]
    code: int = 0  # that they end with


NAMED = ("eval --help", "eval knn --help", "train dino --help")
OTHERS = (
    "--version",
    "--help",
    "report --help",
    "eval detection --help",
    "eval segmentation --help",
    "train --help",
    "score davis --help",
    "score coco --help",
    "score segmentation --help",
    "check --help",
    "export --help",
    "data pack --help",
    "results ls --help",
    "cache --help",
)
SCORES = (
    f"score davis {MASKS} --data synthetic --limit 1",
    f"score coco {BOXES} --data synthetic --limit 1",
    f"score segmentation {LABELS} --data synthetic --limit 1",
)
ROWS = (
    Row("`eval knn --help`, `train dino --help`, `eval --help`", 0.6, NAMED),
    Row("every other `--help`", 0.6, OTHERS),
    Row("`list`, `report --published all`", 1.0, ("list", "report --published all")),
    Row("`score davis`, `coco`, `segmentation`: start-up", 1.0, SCORES),
    Row(
        "an evaluation whose record exists",
        2.0,
        (f"eval knn {WEIGHTS} --data synthetic --limit 20",),
    ),
    Row("`check` with a cached gate", 2.0, (f"check {WEIGHTS}",), 2),  # random: they don't pass
)
NETWORK = f"check random:{ARCH}"  # imports torch and timm; hardly any work
ALONE = (sys.executable, "-c", "import timm")  # torch too, and torchvision, which timm imports
INPUTS = "import sys; from benchmarks.startup import write_inputs as write; write(sys.argv[1])"
BESIDE = 2.0  # seconds beside theirs: one backbone is built


class Cost(NamedTuple):
    """What one process used."""

    seconds: float  # CPU, user and system
    peak: int  # MB


def main() -> int:
    """Print a line for each command and a row for each goal; 1 where one is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    codes = {(*VITBENCH, *each.split()): row.code for row in ROWS for each in row.commands}
    codes |= {(*VITBENCH, *NETWORK.split()): 0, ALONE: 0}
    with tempfile.TemporaryDirectory(prefix="vitbench-") as name:
        folder = Path(name)
        os.environ["VITBENCH_CACHE"] = str(folder / "cache")
        os.environ.pop("VITBENCH_DATA", None)  # `list` would count its images
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        subprocess.run((sys.executable, "-c", INPUTS, name), check=True)  # torch stays out of here
        taken = [
            {words: cost(words, code, folder) for words, code in codes.items()}
            for _ in range(1 + rounds)
        ][1:]
    print(f"{'vitbench':50} {'CPU s':>6} {'MB':>6}   load {os.getloadavg()[0]:.1f}")
    seconds: dict[str, float] = {}
    for words in codes:
        command = " ".join(words[1:] if words == ALONE else words[3:])
        seconds[command] = min(each[words].seconds for each in taken)
        print(f"{command:50} {seconds[command]:6.2f} {max(each[words].peak for each in taken):6}")
    met = [told(row.what, max(seconds[each] for each in row.commands), row.most) for row in ROWS]
    beside = seconds[NETWORK] - seconds[" ".join(ALONE[1:])]
    met.append(told(f"`{NETWORK}` beside `import timm`", beside, BESIDE))
    return int(not all(met))


def write_inputs(name: str) -> None:
    """Write weights to a folder, and what is scored: truth of the built-in data, and one box."""
    from vitbench.data.dataset import open_dataset
    from vitbench.models.checkpoint import load_backbone, resolve
    from vitbench.models.export import save_backbone

    folder = Path(name)
    save_backbone(load_backbone(resolve(f"random:{ARCH}")), folder / WEIGHTS, method="none")
    clip = open_dataset("synthetic", "clips", "val", limit=1)[0]
    (folder / MASKS).symlink_to(clip.masks[0].parents[1])
    image = Path(open_dataset("synthetic", "semantic", "val").files[0])
    (folder / LABELS).symlink_to(str(image.parent).replace("images", "annotations"))
    shown = open_dataset("synthetic", "instances", "val").target(0)
    box = {"image_id": shown.image_id, "category_id": 1, "score": 0.5, "bbox": [0, 0, 9, 9]}
    (folder / BOXES).write_text(json.dumps([box]))


def cost(words: Sequence[str], code: int, folder: Path) -> Cost:
    """Run one command as a whole process, which has to end with a code."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(words, stdout=quiet, stderr=subprocess.PIPE, cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != code:
        said = process.stderr.read().decode() if process.stderr else ""
        sys.exit(f"{' '.join(words)} ended with code {process.returncode}\n{said}")
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)


if __name__ == "__main__":
    sys.exit(main())
