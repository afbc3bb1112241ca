"""Every measurement that wants a GPU, in one call of under eight minutes.

python benchmarks/gpu.py --data IMAGES --davis DAVIS --peer-dino DIR --peer-selfpatch DIR [--small]

`--small` runs the same commands on a CPU at a size that takes a minute: to see that they work.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
BUDGET = 460  # seconds, of all together


def commands(given: argparse.Namespace) -> Iterator[list[str]]:
    """Return the command lines, the most wanted first."""
    device = "cpu" if given.small else "cuda"
    shape = ["--device", device, "--arch", "vit_tiny" if given.small else "vit_small"]
    size = ["--batch", "2" if given.small else "128"]
    width = ["--prototypes", "1024" if given.small else "65536"]
    dino = ["--peer-dino", str(given.peer_dino)] if given.peer_dino else []
    both = [*dino, "--peer-selfpatch", str(given.peer_selfpatch)] if given.peer_selfpatch else dino
    kinds = ["fp32"] if given.small else ["bf16", "bf16+compile"]
    short = ["--rounds", "1", "--local-crops", "2"] if given.small else ["--rounds", "5"]
    workers = (
        ["--workers", "2", "--steps", "2"] if given.small else ["--workers", "16", "--steps", "30"]
    )
    precision = ["--precision", "fp32" if given.small else "bf16"]
    data = ["--data", str(given.data)]
    yield ["train.py", *shape, *size, *width, *both, *short, "--precisions", *kinds]
    yield ["train_pipeline.py", *shape, *size, *width, *dino, *data, *workers, *precision]
    yield [
        "augment.py",
        *data,
        *dino,
        "--device",
        device,
        "--images",
        "8" if given.small else "128",
    ]
    bank = ["--bank", "2000", "--queries", "100"] if given.small else []
    sizes = ["--batch", "2", "--rounds", "1"] if given.small else ["--batch", "8"]
    vit = ["--arch", "vit_tiny_patch16_224" if given.small else "vit_small_patch16_224"]
    dense = [*vit, *sizes, "--device", device]
    yield ["detection.py", *dense, "--short", "128" if given.small else "800"]
    yield ["segmentation.py", *dense, "--crop", "64" if given.small else "512", *bank]
    frames = ["--frames", "2", "--arch", "vit_tiny_patch16_224"] if given.small else []
    davis = ["--data", str(given.davis), "--clip", given.clip, "--device", device]
    yield ["davis.py", *davis, *frames, *dino]


def main() -> None:
    """Run them one after another, each in what is left of the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="a folder of images")
    parser.add_argument("--davis", type=Path, required=True)
    parser.add_argument("--clip", default="blackswan")
    parser.add_argument("--peer-dino", type=Path)
    parser.add_argument("--peer-selfpatch", type=Path)
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    start = time.monotonic()
    for script, *words in commands(given):
        left = BUDGET - (time.monotonic() - start)
        print(f"\n# {script} {' '.join(words)}", flush=True)
        try:
            subprocess.run([sys.executable, str(HERE / script), *words], timeout=left, check=False)
        except subprocess.TimeoutExpired:
            print("cut: the time was over", flush=True)
            return


if __name__ == "__main__":
    main()
