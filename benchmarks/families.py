"""Our pass through networks of a dozen families beside timm's own call, on the same batch.

    python -m benchmarks.families [--rounds N] [--threads N] [--images N] [--match PATTERN …]

Both sides have equal random weights and give the map of the last layer and the network's features,
in float32 and in bfloat16 (autocast). Each has a process of its own, as for a user of one or the
other; they take turns. Milliseconds are the CPU time of the fastest round; the ratio is the median
over pairs of rounds, which the machine's fast and slow minutes move alike. Above 1, ours is faster.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from benchmarks.stopwatch import conditions
from vitbench.distributed import find_device
from vitbench.models.backbone import Backbone
from vitbench.models.checkpoint import load_backbone, resolve

FAMILIES = (
    "vit_small_patch16_224",
    "deit3_small_patch16_224",
    "vit_small_patch16_dinov3",
    "vit_xsmall_patch16_clip_224",
    "vit_base_patch16_siglip_224",
    "eva02_tiny_patch14_224",
    "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256",
    "hiera_tiny_224",
    "convnext_tiny",
    "efficientnet_b0",
    "resnet50",
)


def both(name: str) -> tuple[Any, Backbone]:
    """Return timm's network and ours, which loads its weights as a file's."""
    torch.manual_seed(0)
    network: Any = timm.create_model(name).eval().requires_grad_(False)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
        ours = load_backbone(resolve(str(path), arch=name))
    return network, ours.eval().requires_grad_(False)


def timms_pass(name: str, images: int) -> Callable[[], object]:
    """Return timm's own call on a batch; both sides draw the same weights and images."""
    network, backbone = both(name)
    batch = torch.randn(images, 3, *backbone.info.image_size)

    def run() -> object:
        final, maps = network.forward_intermediates(batch, indices=1)
        return maps[-1], network.forward_head(final, pre_logits=True)

    return run


def our_pass(name: str, images: int) -> Callable[[], object]:
    """Return our pass on a batch, in a process that was told its device as by every command."""
    find_device("cpu")
    _, backbone = both(name)
    batch = torch.randn(images, 3, *backbone.info.image_size)
    return partial(backbone, batch, (backbone.info.depth - 1,))


class Side:
    """A process of its own that makes passes through one network after another."""

    def __init__(self, make: Callable[[str, int], Callable[[], object]], threads: int) -> None:
        self._make = make
        self._process = ProcessPoolExecutor(
            1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,)
        )

    def take(self, name: str, images: int) -> None:
        """Build a network and draw the batch."""
        self._process.submit(_take, self._make, name, images).result()

    def seconds(self, dtype: torch.dtype) -> float:
        """Return the CPU time of one pass."""
        return self._process.submit(_seconds, dtype).result()


_taken: list[Callable[[], object]] = []  # the pass that this process makes


def _take(make: Callable[[str, int], Callable[[], object]], name: str, images: int) -> None:
    _taken[:] = [make(name, images)]


def _seconds(dtype: torch.dtype) -> float:
    low = dtype != torch.float32
    start = time.process_time()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=low):
        _taken[0]()
    return time.process_time() - start


def compare(name: str, sides: Sequence[Side], images: int, rounds: int) -> str:
    """Return a row of the table: milliseconds an image and ratios."""
    for side in sides:
        side.take(name, images)
    cells = []
    for dtype in (torch.float32, torch.bfloat16):
        pairs = [[side.seconds(dtype) for side in sides] for _ in range(rounds + 1)][1:]
        theirs, ours = (min(each) / images * 1e3 for each in zip(*pairs, strict=True))
        ratio = median(their / our for their, our in pairs)
        cells.append(f"{theirs:.1f} | {ours:.1f} | {ratio:.2f}")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=8, help="images in the batch")
    parser.add_argument("--match", nargs="*", default=["*"], help="patterns of names")
    given = parser.parse_args()
    sides = (Side(timms_pass, given.threads), Side(our_pass, given.threads))
    print(f"{conditions()}; {given.threads} threads, batches of {given.images}\n")
    print("| network | timm, ms | ours | ratio, fp32 | timm, ms | ours | ratio, bf16 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in FAMILIES:
        if any(fnmatchcase(name, pattern) for pattern in given.match):
            print(compare(name, sides, given.images, given.rounds), flush=True)


if __name__ == "__main__":
    main()
