"""Training steps: ours and the official one in turns, aggregation apart, against the FLOP floor.

    python benchmarks/train.py --peer-dino DIR --peer-selfpatch DIR [--arch vit_tiny] [--batch 4]
    python benchmarks/train.py --recipe esvit moby --peer-esvit DIR --peer-moby DIR --arch swin_tiny
    python benchmarks/train.py --device cuda --arch vit_small --batch 128 --prototypes 65536 …

Same crops, same precision, same threads on both sides; the best of the rounds counts, on a CPU by
CPU time, so one core will do: taskset -c 0, --threads 1. The floor is the time that the step's
matrix products take at the rate of a large product on this machine.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.train_peers import Shape, checkout, official_step
from vitbench.data.training_loader import CropBatch
from vitbench.models.class_attention import ClassAttention
from vitbench.objectives.positives import choose_positives
from vitbench.objectives.settings import Patch
from vitbench.training.options import ComputeConfig
from vitbench.training.presets import with_terms
from vitbench.training.recipe import Recipe, Term
from vitbench.training.recipes import recipes
from vitbench.training.trainer import Trainer

SIDE = 4096  # of the large product that tells the machine's rate


@dataclass(frozen=True)
class Bench:
    """What is measured, and how."""

    shape: Shape
    batch: int
    rounds: int
    precisions: tuple[str, ...]

    def seconds(self, *works: Callable[[], Any]) -> list[float]:
        """Run the works in turns; return the best time of each."""
        best = [float("inf")] * len(works)
        for turn in range(self.rounds + 1):  # the first turn warms up
            for slot, work in enumerate(works):
                self.wait()
                start = self.now()
                work()
                self.wait()
                if turn:
                    best[slot] = min(best[slot], self.now() - start)
        return best

    def now(self) -> float:
        """Read the clock in seconds; on a CPU, which others use too, the clock of its use."""
        return time.perf_counter() if self.shape.device.type == "cuda" else time.process_time()

    def wait(self) -> None:
        """Wait until the device is done."""
        if self.shape.device.type == "cuda":
            torch.cuda.synchronize()

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Return the context that both sides compute in."""
        low = precision == "bf16"
        return torch.autocast(self.shape.device.type, torch.bfloat16) if low else nullcontext()

    def rate(self, precision: str) -> float:
        """Return the FLOP/s of a large matrix product."""
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        side = SIDE if self.shape.device.type == "cuda" else SIDE // 4
        factors = torch.randn(2, side, side, device=self.shape.device, dtype=dtype)
        (best,) = replace(self, rounds=5).seconds(lambda: factors[0] @ factors[1])
        return 2 * side**3 / best


def recipe_of(name: str, bench: Bench) -> Recipe:
    """Return the method's recipe in the shape that both sides train."""
    shape = bench.shape
    recipe = with_terms(recipes.get(name)(), prototypes=shape.prototypes)
    terms = [
        Term(term.weight, replace(term.objective, prototypes=shape.patch_prototypes))
        if isinstance(term.objective, Patch)
        else term
        for term in recipe.terms
    ]
    return replace(
        recipe,
        terms=tuple(terms),
        arch=shape.arch + ("_patch4_window7_224" if "swin" in shape.arch else "_patch16_224"),
        crops=replace(recipe.crops, local_crops=min(shape.local_crops, recipe.crops.local_crops)),
        batch_size=bench.batch,
    )


def noise(bench: Bench, sizes: tuple[int, ...]) -> CropBatch:
    """Return a batch of crops of noise on the device."""
    made = torch.Generator().manual_seed(0)
    crops = [torch.randn(bench.batch, 3, size, size, generator=made) for size in sizes]
    return CropBatch(
        crops=[crop.to(bench.shape.device) for crop in crops],
        ids=tuple(map(str, range(bench.batch))),
        indices=np.arange(bench.batch),
        sizes=np.full((bench.batch, 2), 256),
        boxes=np.zeros((bench.batch, len(sizes), 4), np.int64),
        flips=np.zeros((bench.batch, len(sizes)), bool),
    )


def counted(recipe: Recipe, batch: CropBatch, device: torch.device) -> int:
    """Count a step's operations."""
    trainer = Trainer(recipe, steps_per_epoch=100, device=device, computing=ComputeConfig())
    with FlopCounterMode(display=False) as counter:
        trainer.train_step(batch)
    return int(counter.get_total_flops())


def whole_step(bench: Bench, name: str, peer: Path | None) -> Iterator[str]:
    """Measure the whole step of a method, precision by precision."""
    recipe = recipe_of(name, bench)
    batch = noise(bench, recipe.crops.sizes)
    official = official_step(peer, name, bench.shape) if peer else None
    operations = counted(recipe, batch, bench.shape.device)
    for precision in bench.precisions:
        kind, _, compiled = precision.partition("+")
        computing = ComputeConfig(
            precision="bf16" if kind == "bf16" else "fp32", compile="on" if compiled else "off"
        )
        trainer = Trainer(
            recipe, steps_per_epoch=100, device=bench.shape.device, computing=computing
        )
        trainer.step = 100  # past the epoch in which the last layer is frozen
        works: list[Callable[[], Any]] = [partial(trainer.train_step, batch)]
        if official is not None:
            works.append(partial(official.step, batch.crops, partial(bench.autocast, kind)))
        if bench.shape.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        ours, *theirs = bench.seconds(*works)
        floor = operations / bench.rate(kind)
        ratio = f"  official {theirs[0]:.3f} s: {theirs[0] / ours:.2f}x" if theirs else ""
        memory = ""
        if bench.shape.device.type == "cuda":
            memory = f"  peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB (both)"
        yield (
            f"{name:14} {precision:13} {ours:.3f} s  {bench.batch / ours:7.1f} images/s  "
            f"{100 * floor / ours:3.0f} % of the product rate{ratio}{memory}"
        )


def aggregation(bench: Bench, peer: Path) -> Iterator[str]:
    """Measure the teacher's aggregation: neighbors, gather and class attention."""
    with checkout(peer) as load:
        vits = load("selfpatch_vision_transformer")
    backbone = vits.__dict__[bench.shape.arch]()
    width, heads = backbone.embed_dim, backbone.num_heads
    theirs = vits.SelfPatchHead(width, heads, 4).to(bench.shape.device)
    ours = ClassAttention(width, heads).to(bench.shape.device)
    ours.load_state_dict(theirs.state_dict())
    tokens = torch.randn(2 * bench.batch, 196, width, device=bench.shape.device)

    def we() -> Tensor:
        grid = tokens.transpose(1, 2).unflatten(2, (14, 14))  # type: ignore[no-untyped-call]
        index, keep = choose_positives(grid, rule="topk", k=4, wrap=True)
        whole = ours(tokens).unsqueeze(1)
        return torch.cat([whole, ours.summarize(tokens, index, keep)], dim=1)

    def they() -> Tensor:
        found: Tensor = theirs(tokens, loc=True)
        return found

    for precision in [kind for kind in bench.precisions if "+" not in kind]:
        with torch.no_grad(), bench.autocast(precision):
            mine, official = bench.seconds(we, they)
            apart = (we() - they()).abs().max().item()
        yield (
            f"aggregation {precision:6} {mine:.4f} s  official {official:.4f} s: "
            f"{official / mine:.2f}x  largest difference {apart:.1e}"
        )


def main() -> None:
    """Print one line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", nargs="+", default=["dino", "selfpatch"])
    parser.add_argument("--peer-dino", type=Path)
    parser.add_argument("--peer-selfpatch", type=Path)
    parser.add_argument("--peer-esvit", type=Path)
    parser.add_argument("--peer-moby", type=Path)
    parser.add_argument("--arch", default="vit_tiny")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--local-crops", type=int, default=8)
    parser.add_argument("--prototypes", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = torch.device(given.device)
    shape = Shape(given.arch, given.prototypes, 4096, given.local_crops, device)
    bench = Bench(shape, given.batch, given.rounds, tuple(given.precisions))
    print(f"{given.arch}, batch {given.batch}, 2 x 224 + {given.local_crops} x 96, {device}")
    if given.peer_selfpatch:
        for line in aggregation(bench, given.peer_selfpatch):
            print(line, flush=True)
    for name in given.recipe:
        for line in whole_step(bench, name, getattr(given, f"peer_{name}", None)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
