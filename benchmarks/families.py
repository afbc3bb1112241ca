"""Our pass through networks of a dozen families beside timm's own call, on the same batch.

    python -m benchmarks.families [--rounds N] [--threads N] [--images N] [--match PATTERN …]

Both sides have equal random weights and give the map of the last layer and the network's features,
in float32 and in bfloat16 (autocast). They take turns; a figure is the CPU time of the fastest
round, a ratio above 1 says that ours is faster.
"""

import argparse
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import timm
import torch
from safetensors.torch import save_file

from benchmarks.stopwatch import conditions, race
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


def under_autocast(run: Callable[[], object]) -> Callable[[], object]:
    """Return the run in bfloat16."""

    def low() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return run()

    return low


def compare(name: str, images: int, rounds: int) -> str:
    """Return a row of the table: milliseconds an image and ratios."""
    network, backbone = both(name)
    batch = torch.randn(images, 3, *backbone.info.image_size)
    last = (backbone.info.depth - 1,)

    def ours() -> object:
        return backbone(batch, last)

    def theirs() -> object:
        final, maps = network.forward_intermediates(batch, indices=1)
        return maps[-1], network.forward_head(final, pre_logits=True)

    with torch.inference_mode():
        single = race({"ours": ours, "timm": theirs}, rounds)
        low = race({"ours": under_autocast(ours), "timm": under_autocast(theirs)}, rounds)
    cells = [
        f"{found['timm'].least / images * 1e3:.1f} | {found['ours'].least / images * 1e3:.1f}"
        f" | {found['timm'].least / found['ours'].least:.2f}"
        for found in (single, low)
    ]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=8, help="images in the batch")
    parser.add_argument("--match", nargs="*", default=["*"], help="patterns of names")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{conditions()}; {given.threads} threads, batches of {given.images}\n")
    print("| network | timm, ms | ours | ratio, fp32 | timm, ms | ours | ratio, bf16 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in FAMILIES:
        if any(fnmatchcase(name, pattern) for pattern in given.match):
            print(compare(name, given.images, given.rounds), flush=True)


if __name__ == "__main__":
    main()
