"""Table 5 in small: DINO and SelfPatch on ten ImageNet classes, one budget, 20-NN and DAVIS.

    vitbench data pack imagenette160 shards            # 128 px, 40 MB; once, where the images are
    python benchmarks/imagenet10.py --shards shards --davis DAVIS --out runs/table5 [--minutes 7]

Each training saves as it goes and is stopped when its minutes are over; the same command goes on
where it stopped. Arguments behind `--` go to both trainings (`-- --epochs 30 --arch …`).
"""

import argparse
import subprocess
import sys
import tarfile
from pathlib import Path

GRACE = 30  # seconds to save in


def main() -> None:
    """Train both, score both, print the table."""
    words = sys.argv[1:]
    more = words[words.index("--") + 1 :] if "--" in words else []
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=Path, required=True, help="from `vitbench data pack`")
    parser.add_argument("--davis", required=True, help="a DAVIS folder, or its name")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=7.0, help="for each training")
    parser.add_argument("--limit", type=int, help="images of the 20-NN, frames not")
    given = parser.parse_args(words[: len(words) - len(more) - ("--" in words)])
    images = unpacked(given.shards, given.out / "images")
    runs = [given.out / name for name in ("dino", "selfpatch")]
    data = ["--data", str(given.shards), "--probe-data", str(images)]
    for run in runs:
        preset = ["--preset", "imagenet10", "--save-minutes", "1", "--out", str(run)]
        train(["train", run.name, *preset, *data, *more], 60 * given.minutes)
    records = ["--results", str(given.out / "records")]
    backbones = [str(run) for run in runs]
    limit = ["--limit", str(given.limit)] if given.limit else []
    vitbench(["eval", "knn", *backbones, "--data", str(images), *limit, *records])
    preset = ["--preset", "standard"]
    vitbench(["eval", "davis", *backbones, "--data", given.davis, *preset, *records])
    vitbench(["report", *records, "--format", "markdown"])


def unpacked(shards: Path, folder: Path) -> Path:
    """Unpack the shards once: classification folders, for the 20-NN."""
    if not folder.exists():
        for shard in sorted(shards.glob("*.tar")):
            with tarfile.open(shard) as content:
                content.extractall(folder, filter="data")
    return folder


def train(words: list[str], seconds: float) -> None:
    """Train until done or the time is over; then ask the run to save and stop."""
    process = subprocess.Popen([sys.executable, "-m", "vitbench", *words])
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()
        process.wait(GRACE)


def vitbench(words: list[str]) -> None:
    """Run a command and stop if it fails."""
    subprocess.run([sys.executable, "-m", "vitbench", *words], check=True)


if __name__ == "__main__":
    main()
