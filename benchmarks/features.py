"""Features of ViTs on one CPU core: ours beside timm's own call, and the code of 2021.

    python benchmarks/features.py [--arch NAME …] [--rounds N] [--compile] [--peer DINO_CHECKOUT]

All have the same weights and the same images. timm attends by `scaled_dot_product_attention`; it is
called in float32, under bfloat16 autocast, with weights in bfloat16, and, if asked, compiled. The
official path of DINO is explicit attention, with the table of positions resized at every call.
Exit code 1 where ours is slower than timm's call of the same precision by more than its goal.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor

from benchmarks.stopwatch import Timing, conditions, one_core, race
from benchmarks.verdict import told
from vitbench.models.timm_backbone import TimmBackbone, build_backbone

SIZES = (((224, 224), 8), ((480, 832), 1))  # pixels, and images of a call
ROUNDS = {"float32": 1, "bfloat16": 4}  # for each that is asked for: short ones need more
Run = Callable[[], object]
# of the time of timm's call; in float32 both do the same: two turns of one network differ by 5 %
MOST = {("float32", 224): 1.05, ("float32", 480): 1.05}
MOST |= {("bfloat16", 224): 1 / 1.1, ("bfloat16", 480): 1 / 1.25}


def main() -> int:
    """Print milliseconds of each size and way, and how they compare with timm's; 1 for a miss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", nargs="+", default=["vit_small_patch16_224"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="timm's network compiled, too")
    parser.add_argument("--peer", type=Path, help="checkout of facebookresearch/dino (ViT-S alone)")
    given = parser.parse_args()
    print(conditions())
    with one_core():
        met = [compared(arch, *size, given) for arch in given.arch for size in SIZES]
    return int(not all(met))


def compared(arch: str, size: tuple[int, int], count: int, given: argparse.Namespace) -> bool:
    """Print how one network takes images of one size; return whether the goals are met."""
    backbone = build_backbone(arch, seed=0).eval().requires_grad_(False)
    images = torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(0))
    runs = ways(backbone, arch, images, given)
    found: dict[str, Timing] = {}
    with torch.inference_mode():
        difference = largest_difference(backbone, images, arch)
        for kind, more in ROUNDS.items():
            found |= race({n: run for n, run in runs.items() if kind in n}, more * given.rounds)
    print(
        f"{arch}, {count} x {size[0]} x {size[1]} px, one thread;"
        f" ours less timm's at most {difference:.0e}"
    )
    for name, timing in found.items():
        ratio = found[usual(name)].least / timing.least
        print(f"  {name:28} {timing}  {ratio:5.2f} x {usual(name)}", flush=True)
    return in_time(f"{arch}, {size[0]} x {size[1]} px", size[0], found)


def usual(name: str) -> str:
    """Return what a user would call in the precision of a way."""
    return "timm, bfloat16 autocast" if "bfloat16" in name else "timm, float32"


def in_time(what: str, height: int, found: Mapping[str, Timing]) -> bool:
    """Print a row for each precision; return whether all goals are met."""
    met = True
    for kind in ("float32", "bfloat16"):
        taken = found[f"ours, {kind}"].least / found[usual(kind)].least
        met &= told(f"{what}, {kind}", taken, MOST[kind, height], "of the time of timm's call")
    return met


def ways(
    backbone: TimmBackbone, arch: str, images: Tensor, given: argparse.Namespace
) -> dict[str, Run]:
    """Return every way to the features of the last block."""
    plain = timms(backbone, arch)
    halved, narrow = timms(backbone, arch).bfloat16(), images.bfloat16()
    runs: dict[str, Run] = {
        "timm, float32": lambda: plain.forward_features(images),
        "ours, float32": lambda: backbone(images),
        "timm, bfloat16 autocast": rounded(lambda: plain.forward_features(images)),
        "timm, bfloat16 weights": lambda: halved.forward_features(narrow),
        "ours, bfloat16": rounded(lambda: backbone(images)),
    }
    if given.compile:
        compiled: Any = torch.compile(plain.forward_features)
        runs["timm compiled, float32"] = lambda: compiled(images)
        runs["timm compiled, bfloat16"] = rounded(lambda: compiled(images))
    if given.peer:
        peer = official(given.peer, backbone)
        runs["official, float32"] = lambda: peer.get_intermediate_layers(images, 1)
        runs["official, bfloat16"] = rounded(lambda: peer.get_intermediate_layers(images, 1))
    return runs


def timms(backbone: TimmBackbone, arch: str) -> Any:
    """Return timm's network with our weights."""
    network = timm.create_model(arch, num_classes=0, dynamic_img_size=True)
    network.load_state_dict(backbone.state_dict())
    return network.eval().requires_grad_(False)


def official(folder: Path, backbone: TimmBackbone) -> Any:
    """Return the official network with our weights."""
    sys.path.insert(0, str(folder))
    peer = importlib.import_module("vision_transformer").vit_small(patch_size=16)
    peer.load_state_dict(backbone.state_dict())
    return peer.eval()


def rounded(run: Run) -> Run:
    """Return the same run under bfloat16 autocast."""

    def under_autocast() -> object:
        with torch.autocast("cpu", torch.bfloat16):
            return run()

    return under_autocast


def largest_difference(backbone: TimmBackbone, images: Tensor, arch: str) -> float:
    """Return the largest difference of a class token in either precision, at the native size."""
    if images.shape[-2:] != tuple(backbone.info.image_size):
        images = torch.nn.functional.interpolate(images, backbone.info.image_size)
    plain, most = timms(backbone, arch), 0.0
    for low in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            (ours,) = backbone(images)
            apart = ours.pooled - plain.forward_features(images)[:, 0]
        most = max(most, float(apart.abs().max()))
    return most


if __name__ == "__main__":
    sys.exit(main())
