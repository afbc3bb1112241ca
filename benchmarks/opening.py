"""What a start costs before the first image is read: COCO's and ImageNet's training sets.

    python benchmarks/opening.py [--images 118287] [--files 1281167]

Writes an annotation file of the size of train2017 (about 500 MB) and a thousand folders of empty
files to
a temporary folder. Each opening runs in a process of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.items import write_annotations, write_folders

OPEN = """
import resource, sys, time
from pathlib import Path
from vitbench.data.{module} import open_{module} as opened
start, cpu = time.perf_counter(), time.process_time()
found = opened(Path(sys.argv[1]), "train")
wall, cpu = time.perf_counter() - start, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"{{len(found):,}} images, {{wall:.2f}} s, {{cpu:.2f}} s of CPU time, {{peak:.2f}} GB")
"""


def main() -> None:
    """Print seconds and memory of each opening."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=118_287)
    parser.add_argument("--files", type=int, default=1_281_167)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vitbench-") as name:
        root = Path(name)
        os.environ["VITBENCH_CACHE"] = str(root / "cache")
        write_annotations(root / "coco", given.images)
        opened("annotations", "coco", root / "coco")
        write_folders(root / "imagenet", given.files, 1000)
        opened("folders, first time", "folders", root / "imagenet")
        opened("folders, second time", "folders", root / "imagenet")


def opened(title: str, module: str, root: Path) -> None:
    """Open a data set in a new process."""
    command = [sys.executable, "-c", OPEN.format(module=module), str(root)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    print(f"{title:20} {done.stdout.strip()}, load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
