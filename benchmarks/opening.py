"""What a start costs before the first image is read: COCO's and ImageNet's training sets.

    python benchmarks/opening.py [--images 118287] [--files 1281167]

Writes an annotation file of the size of train2017 (about 500 MB) and a thousand folders of empty
files to a temporary folder; none where 0 are asked for. Each opening runs in a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.items import write_annotations, write_folders
from benchmarks.verdict import told

OPEN = """
import json, resource, sys, time
from pathlib import Path
from vitbench.data.{module} import open_{module} as opened
start, cpu = time.perf_counter(), time.process_time()
found = opened(Path(sys.argv[1]), "train")
wall, cpu = time.perf_counter() - start, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(json.dumps([len(found), wall, cpu, peak]))
"""
COCO_SECONDS, COCO_GB, FOLDERS_SECONDS = 6.0, 1.0, 3.0  # goals


def main() -> int:
    """Print seconds and memory of each opening; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--files", type=int, default=1_281_167)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vitbench-") as name:
        root = Path(name)
        os.environ["VITBENCH_CACHE"] = str(root / "cache")
        met = []
        if given.images:
            write_annotations(root / "coco", given.images)
            seconds, peak = opened("annotations", "coco", root / "coco")
            what = f"`open_coco`, {given.images:,} images"
            met += [told(what, seconds, COCO_SECONDS), told(what, peak, COCO_GB, "GB")]
        if given.files:
            write_folders(root / "imagenet", given.files, 1000)
            opened("folders, first time", "folders", root / "imagenet")
            seconds, _ = opened("folders, second time", "folders", root / "imagenet")
            met.append(told(f"`open_folders`, {given.files:,} files", seconds, FOLDERS_SECONDS))
    return int(not all(met))


def opened(title: str, module: str, root: Path) -> tuple[float, float]:
    """Open a data set in a new process; return seconds of CPU time and GB."""
    command = [sys.executable, "-c", OPEN.format(module=module), str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    count, wall, cpu, peak = json.loads(done.stdout)
    print(f"{title:20} {count:,} images, {wall:.2f} s, {cpu:.2f} s of CPU time, {peak:.2f} GB")
    return cpu, peak


if __name__ == "__main__":
    sys.exit(main())
