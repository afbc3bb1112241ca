"""Features of a ViT-S/16 on a CPU: ours against the official code path of DINO, in one process.

    python benchmarks/features.py --peer DINO_CHECKOUT [--rounds N] [--threads N]

The official path is explicit attention with the table of positions resized at every call; images
of 224 x 224 go in batches of 16, DAVIS frames of 480 x 832 one by one, as its scripts send them.
Both sides have the same weights. Each figure is the fastest of several alternating rounds. The
floor is the network's multiplications at the speed of one large product.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vitbench.models.timm_backbone import TimmBackbone, build_backbone

SIZES = (((224, 224), 16), ((480, 832), 1))  # pixels and images a call of the official scripts
OUR_BATCH = {(224, 224): 16, (480, 832): 4}


def main() -> None:
    """Print milliseconds an image, ratios and distances from the floor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--peer", type=Path, required=True, help="checkout of facebookresearch/dino"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    backbone = build_backbone("vit_small_patch16_224", seed=0).eval().requires_grad_(False)
    peer = official(given.peer, backbone)
    print(
        f"ViT-S/16, features of the last block, {given.threads} threads, torch {torch.__version__}"
    )
    for size, batch in SIZES:
        compare(backbone, peer, size, batch, given.rounds)


def official(folder: Path, backbone: TimmBackbone) -> Any:
    """Return the official network with our weights."""
    sys.path.insert(0, str(folder))
    peer = importlib.import_module("vision_transformer").vit_small(patch_size=16)
    peer.load_state_dict(backbone.state_dict())
    return peer.eval()


def compare(
    backbone: TimmBackbone, peer: Any, size: tuple[int, int], batch: int, rounds: int
) -> None:
    """Time both on one size of image and print the lines."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(OUR_BATCH[size], 3, *size, generator=generator)

    def theirs() -> Tensor:
        parts = [peer.get_intermediate_layers(part, 1)[0] for part in torch.split(images, batch)]
        return torch.cat(parts)

    def ours() -> Tensor:
        (features,) = backbone(images)
        return torch.cat([features.pooled[:, None], features.patches.flatten(2).mT], dim=1)

    with torch.inference_mode():
        difference = (theirs() - ours()).abs().max().item()
        runs = {"official float32": theirs, "ours float32": ours, "ours bfloat16": rounded(ours),
                "official bfloat16": rounded(theirs)}  # fmt: skip
        seconds = fastest(runs, rounds)
    floors = {"float32": floor(backbone, size, torch.float32),
              "bfloat16": floor(backbone, size, torch.bfloat16)}  # fmt: skip
    print(f"{size[0]} x {size[1]} px, batches of {len(images)} (official {batch}), "
          f"largest difference {difference:.1e}")  # fmt: skip
    for name, taken in seconds.items():
        each = taken / len(images)
        ratio = seconds["official float32"] / taken
        least = floors[name.split()[1]]
        print(f"  {name:<18} {each * 1e3:8.1f} ms an image  {ratio:5.2f}x official float32"
              f"  {each / least:5.2f}x the floor of {least * 1e3:.1f} ms")  # fmt: skip


def rounded(run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Return the same run under bfloat16 autocast."""

    def under_autocast() -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return run()

    return under_autocast


def fastest(runs: dict[str, Callable[[], Tensor]], rounds: int) -> dict[str, float]:
    """Return the least seconds of each run; the runs take turns, so that a busy spell hits all."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def floor(backbone: TimmBackbone, size: tuple[int, int], dtype: torch.dtype) -> float:
    """Return the seconds an image's multiplications take at the speed of one large product."""
    info = backbone.info
    patches = (size[0] // info.patch_size) * (size[1] // info.patch_size)
    tokens, D = patches + info.prefix_tokens, info.embed_dim
    block = 24 * tokens * D * D + 4 * tokens * tokens * D
    work = info.depth * block + 2 * patches * D * 3 * info.patch_size**2
    side = 2048
    left, right = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
    product = torch.ops.mkldnn._linear_pointwise
    runs = {"product": lambda: product(left, right, None, "none", [], "")}
    return work / (2 * side**3 / fastest(runs, 10)["product"])


if __name__ == "__main__":
    main()
