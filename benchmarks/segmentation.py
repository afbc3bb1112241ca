"""Segmentation: training, inference and dense retrieval, ours against the plainest way.

    python benchmarks/segmentation.py [--arch NAME] [--crop PX] [--batch N] [--bank N] [--rounds N]

Training is the whole loop (crops made by threads, step, journal) against the bare step on one
batch that lies ready. Inference is one image to one class a pixel at its own size against the
network's pass alone. Retrieval is the exact search with FAISS and with torch against one product
and one top-k. Each figure is the best of several alternating rounds. The floor is the network's
multiplications at the speed of one large product.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.stopwatch import best, product_speed, race
from vitbench.api import Normalization
from vitbench.data.semantic import SemanticDataset, open_semantic
from vitbench.kit import Bank, FineTuneContext, seeded
from vitbench.models.timm_backbone import build_backbone
from vitbench.neighbors import Engine
from vitbench.training.finetune import FineTuning
from vitbench_protocols.segmentation.classes import Classes
from vitbench_protocols.segmentation.decoders import MAKERS
from vitbench_protocols.segmentation.learning import CropTask
from vitbench_protocols.segmentation.networks import NetworkSegmenter, TrainedTogether
from vitbench_protocols.segmentation.predict import Problem
from vitbench_protocols.segmentation.settings import NAMES, DecoderName, Inference, Learning

CLASSES = 150
PHOTO, PADDED = (512, 683), (512, 688)  # pixels of an image, and up to whole patches


class Lent:
    """What the engine would lend."""

    def __init__(self, device: torch.device, workers: int) -> None:
        self.device, self.workers, self.seed = device, workers, 0
        self.normalization = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def autocast(self) -> torch.autocast:
        """Compute in float32 on a CPU, in bfloat16 elsewhere."""
        low = self.device.type != "cpu"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)


def main() -> None:
    """Print images and queries a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="vit_tiny_patch16_224")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--bank", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=1376)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    lent = Lent(torch.device(given.device), given.workers)
    print(
        f"{given.arch}, {given.device}, {torch.get_num_threads()} threads,"
        f" torch {torch.__version__}"
    )
    speed = product_speed(lent.device)
    print(f"one large product: {speed / 1e9:.0f} GFLOP/s")
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        data = write_photos(Path(folder), given.batch)
        for decoder in NAMES:
            train_and_infer(decoder, data, Path(folder), lent, given, speed)
    retrieve(given, lent.device)


def train_and_infer(
    decoder: DecoderName,
    data: SemanticDataset,
    folder: Path,
    lent: Any,
    given: argparse.Namespace,
    speed: float,
) -> None:
    """Time one decoder."""
    backbone = build_backbone(given.arch, seed=0)
    info = backbone.info
    copy = backbone.dense_copy(image_px=given.crop, rule="size")
    layers = [info.depth * quarter // 4 - 1 for quarter in range(1, 5)]
    made = seeded(MAKERS[decoder], [info.stage(layer) for layer in layers], CLASSES, seed=0)
    network = TrainedTogether(copy, made, layers=layers, drop_path=0.1).to(lent.device)
    problem = Problem(lent, Classes.of(data), data, data, Inference())
    learning = Learning(
        steps=given.rounds + 1, batch_size=given.batch, crop=given.crop, check_every=0
    )
    task = CropTask(network, problem, learning)
    around = FineTuneContext(
        device=lent.device,
        workers=given.workers,
        scratch=folder / decoder,
        output=folder / decoder,
        progress=lambda *told: None,
    )
    tuning = FineTuning(task, learning.course(("pos_embed",)), around)
    ready = [task.sample(position) for position in range(given.batch)]
    batches = tuning.batches()

    def bare() -> None:
        tuning.train_step(ready)
        tuning.step -= 1

    works = {"bare": bare, "loop": lambda: tuning.train_step(next(batches))}
    times = race(works, given.rounds, lent.device)
    rates = [given.batch / times[name].least for name in works]
    floor = speed / operations(network, (given.crop, given.crop), training=True)
    print(f"\n{decoder}, crops of {given.crop} px, batches of {given.batch}")
    print(
        f"  training   loop {rates[1]:7.2f} images/s, bare step {rates[0]:7.2f}, floor {floor:.2f}"
    )
    segmenter = NetworkSegmenter(network, lent)
    image = np.array(data[0].image)
    view = torch.zeros(1, 3, *PADDED, device=lent.device)
    with torch.inference_mode():
        alone = best(lambda: segmenter.scores(view), given.rounds, lent.device)
        whole = best(lambda: Inference().classify(image, segmenter), given.rounds, lent.device)
    floor = speed / operations(network, PADDED, training=False)
    print(
        f"  inference  whole {1 / whole:6.2f} images/s, network alone {1 / alone:6.2f},"
        f" floor {floor:.2f}; {PHOTO[0]} x {PHOTO[1]} px, {CLASSES} classes"
    )


def operations(network: TrainedTogether, size: tuple[int, int], *, training: bool) -> float:
    """Count multiplications and additions for one image: of the blocks by formula, else counted."""
    info = network.backbone.info
    grid = [side // info.patch_size for side in size]
    tokens, dim = grid[0] * grid[1], info.embed_dim
    backbone = info.depth * (24 * tokens * dim**2 + 4 * tokens**2 * dim)
    where = next(network.parameters()).device
    maps = [torch.zeros(2, dim, *grid, device=where, requires_grad=True) for _ in range(4)]
    network.decoder.train(training)
    with FlopCounterMode(display=False) as counter:
        outputs = network.decoder(maps)
        if training:
            torch.autograd.backward(torch.stack([each.sum() for each in outputs]).sum())
    passes = 3 if training else 1  # backward takes two
    return float(passes * backbone + counter.get_total_flops() / 2)


def retrieve(given: argparse.Namespace, device: torch.device) -> None:
    """Time exact retrieval of 30 neighbors."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(given.bank + given.queries, 192, generator=generator)
    rows = torch.nn.functional.normalize(rows, dim=1).to(device)
    bank, queries = rows[: given.bank], rows[given.bank :]

    def plain() -> Tensor:
        return (queries @ bank.t()).topk(30).indices

    ways: dict[str, Callable[[], Tensor]] = {"plain product and top-k": plain}
    engines: tuple[Engine, ...] = ("torch", "faiss")
    for engine in engines:
        ways[f"ours, {engine}"] = search_of(Bank(bank, engine=engine), queries)
    expected = plain()
    print(f"\n{given.queries} queries, 30 neighbors of {given.bank} rows of 192 numbers")
    times = race(ways, given.rounds, device)
    for name, way in ways.items():
        took = times[name].least
        same = (way() == expected).float().mean().item()
        print(
            f"  {name:<24} {given.queries / took:9.0f} queries/s,"
            f" ratio {times['plain product and top-k'].least / took:.2f},"
            f" {100 * same:.2f} % of places equal"
        )


def search_of(bank: Bank, queries: Tensor) -> Callable[[], Tensor]:
    """Return our search as something to time."""
    return lambda: bank.search(queries, 30).indices


def write_photos(root: Path, count: int) -> SemanticDataset:
    """Write images of noise with 150 classes."""
    generator = np.random.default_rng(0)
    for part in ("images/training", "annotations/training"):
        (root / part).mkdir(parents=True)
    (root / "classes.txt").write_text("".join(f"class {n}\n" for n in range(CLASSES)))
    for number in range(count):
        coarse = generator.integers(0, 256, (8, 10, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize(PHOTO[::-1])
        image.save(root / "images" / "training" / f"{number}.jpg")
        labels = Image.fromarray(generator.integers(0, CLASSES + 1, (8, 10), dtype=np.uint8))
        labels = labels.resize(PHOTO[::-1], Image.Resampling.NEAREST)
        labels.save(root / "annotations" / "training" / f"{number}.png")
    return open_semantic(root, "train")


if __name__ == "__main__":
    main()
