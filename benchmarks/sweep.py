"""Four checkpoints of three families by five protocols: `vitbench sweep` against one by one.

VITBENCH_DATA=DIR python -m benchmarks.sweep WEIGHTS [--images 64] [--jobs 1] [--folder DIR]

WEIGHTS is a ViT as `vitbench eval` takes it, with its facts behind it. The folder of data holds
imagenette160, davis and coco_semseg. Counts the CPU time of every process that was started, from an
empty cache each time, and ends with 1 where a sweep is less than twice as cheap or scores differ.
"""

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.stopwatch import conditions
from vitbench.data.dataset import open_dataset
from vitbench.records import Record, read_records

GOAL = 2.0
SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: processes whose parent ends become this one's children
RANDOM = ("vit_tiny_patch16_224?seed=1", "swin_mini_patch4_window7_224", "resnet18")
CLASSES = "imagenette160"
COLUMNS = {  # by protocol: the words of `vitbench eval`
    "knn": ("--data", CLASSES),
    "retrieval@classes": ("--data", CLASSES),
    "logistic": ("--data", CLASSES),
    "davis@dino-2021": ("--data", "davis", "--limit", "1", "--resolution", "160"),
    "segmentation@knn": ("--data", "coco_semseg", "--limit", "8"),
}


def main() -> int:
    """Run both and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("--images", type=int, default=64, help="of each split with classes")
    parser.add_argument("--folder", type=Path, help="where results are kept; left out: nowhere")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once, of both")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as emptied:
        folder = options.folder or Path(emptied)
        folder.mkdir(parents=True, exist_ok=True)
        lists = split_lists(folder, options.images)
        checkpoints = [options.weights, *(f"random:{name}" for name in RANDOM)]
        commands = by_hand(checkpoints, lists, folder / "hand")
        one_by_one = cpu_seconds(commands, folder / "cache-hand", options.jobs)
        command = [*sweep(checkpoints, lists, folder), "--jobs", str(options.jobs)]
        together = cpu_seconds([command], folder / "cache-sweep")
        same = scores(folder / "hand") == scores(folder / "sweep")
    ratio = one_by_one / together
    print(conditions())
    print(f"{len(checkpoints)} checkpoints by {len(COLUMNS)} protocols, CPU seconds")
    print(f"one by one {one_by_one:8.1f}")
    print(f"sweep      {together:8.1f}   {ratio:.2f} x less, the same scores: {same}")
    return int(ratio < GOAL or not same)


def split_lists(folder: Path, images: int) -> list[str]:
    """Write a list of images over all classes for each split; return the words that name them."""
    words = []
    for split in ("train", "val"):
        ids = open_dataset(CLASSES, "classification", split).ids
        path = folder / f"{split}.txt"
        path.write_text("\n".join(ids[:: max(1, len(ids) // images)][:images]))
        words.append(f"{split}={path.resolve()}")
    return words


def by_hand(checkpoints: Sequence[str], lists: Sequence[str], results: Path) -> list[list[str]]:
    """Return the commands that score every checkpoint with every protocol."""
    found = []
    for protocol, words in COLUMNS.items():  # commands at once are of several checkpoints
        for checkpoint in checkpoints:
            name, _, preset = protocol.partition("@")
            chosen = ["--preset", preset] if preset else []
            listed = ["--split-list", *lists] if CLASSES in words else []
            found.append(
                ["eval", name, checkpoint, *chosen, *words, *listed, "--results", str(results)]
            )
    return found


def sweep(checkpoints: Sequence[str], lists: Sequence[str], folder: Path) -> list[str]:
    """Write the same as a file; return the command that sweeps it."""
    lines = []
    for checkpoint in checkpoints:
        lines += [f'[rows."{Path(checkpoint).name}"]', f'checkpoint = "{checkpoint}"']
    for protocol, words in COLUMNS.items():
        lines += [f'[columns."{protocol}"]', f'data = "{words[1]}"']
        pairs = zip(words[2::2], words[3::2], strict=True)
        lines += [f"{name.removeprefix('--')} = {value}" for name, value in pairs]
        lines += [f"split_list = {list(lists)}"] if CLASSES in words else []
    path = folder / "sweep.toml"
    path.write_text("\n".join(lines))
    return ["sweep", str(path), "run", "--results", str(folder / "sweep")]


def cpu_seconds(commands: Sequence[Sequence[str]], cache: Path, jobs: int = 1) -> float:
    """Run commands of vitbench; return the CPU time of all processes that they started."""
    environment = {**os.environ, "VITBENCH_CACHE": str(cache)}

    def run(words: Sequence[str]) -> None:
        command = (sys.executable, "-m", "vitbench", *words)
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    before = _of_children()
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(run, commands))
    _wait_for_all()
    return _of_children() - before


def _wait_for_all() -> None:
    """Wait for the processes that a command left to end by themselves, so that they are counted."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def scores(results: Path) -> dict[str, object]:
    """Return the scores of every record, by its identity."""
    found = [one for one in read_records(results) if isinstance(one, Record)]
    return {one.id: [(score.metric, score.value) for score in one.scores] for one in found}


if __name__ == "__main__":
    sys.exit(main())
