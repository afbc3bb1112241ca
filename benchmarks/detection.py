"""Detection: training, inference and scoring, ours against the plainest way.

    python benchmarks/detection.py [--arch NAME] [--short PX] [--channels N] [--rounds N]
        [--results RESULTS.json --data coco]

Training is the whole loop (views made by threads, step, journal) against the bare step on one
batch that lies ready; inference is one image to boxes and masks at its own size against the
network's pass alone. The alternative is torchvision's own Mask R-CNN (ResNet-50) on the same
images. Each figure is the best of several alternating rounds. Scoring is that of a results file:
pycocotools against faster-coco-eval.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import maskrcnn_resnet50_fpn

from benchmarks.items import PHOTO, write_photos
from benchmarks.stopwatch import best, product_speed, race
from vitbench.api import (
    Normalization,
    from_preset,
    load_backbone,
    resolve,
)
from vitbench.data.coco import CocoDataset, open_coco
from vitbench.data.dataset import find_root
from vitbench.kit import (
    FineTuneContext,
    fitted,
    resize_image,
    seeded,
)
from vitbench.training.finetune import FineTuning
from vitbench_protocols.detection import Detection
from vitbench_protocols.detection.building import build_detector
from vitbench_protocols.detection.detector import Detector
from vitbench_protocols.detection.inference import Problem, Shown, detect, detected, normalized
from vitbench_protocols.detection.learning import ViewTask
from vitbench_protocols.detection.metrics import KINDS, Engine
from vitbench_protocols.detection.results import read_results
from vitbench_protocols.detection.scores import evaluate_kind
from vitbench_protocols.detection.settings import Learning, MaskRCNN
from vitbench_protocols.detection.truth import Truth
from vitbench_protocols.detection.views import Views


class Lent:
    """What the engine would lend."""

    def __init__(self, device: torch.device, workers: int) -> None:
        self.device, self.workers, self.seed = device, workers, 0
        self.normalization = Normalization((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

    def autocast(self) -> torch.autocast:
        """Compute in float32 on a CPU, in bfloat16 elsewhere."""
        low = self.device.type != "cpu"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)

    def progress(self, task: str, done: int, total: int) -> None:
        """Say nothing."""


def main() -> None:
    """Print images a second, and seconds of scoring."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="vit_tiny_patch16_224")
    parser.add_argument("--short", type=int, default=480)
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, help="a results file to score")
    parser.add_argument("--data", default="coco", help="what it was made on")
    given = parser.parse_args()
    print(
        f"{given.arch}, {given.device}, {torch.get_num_threads()} threads,"
        f" torch {torch.__version__}"
    )
    if given.results:
        score(given.results, given.data, given.rounds)
        return
    lent = Lent(torch.device(given.device), given.workers)
    with tempfile.TemporaryDirectory(prefix="vitbench-") as folder:
        write_photos(Path(folder), given.batch)
        data = open_coco(Path(folder), "train")
        train_and_infer(data, Path(folder), lent, given)


def train_and_infer(data: CocoDataset, folder: Path, lent: Any, given: argparse.Namespace) -> None:
    """Time training and inference."""
    protocol = from_preset(Detection, "correct-heads")
    protocol = replace(
        protocol,
        network=MaskRCNN(channels=given.channels),
        views=Views(short=(given.short,), crop=()),
        learning=Learning(epochs=given.rounds + 1, batch_size=given.batch, check_epochs=0),
        short=given.short,
    )
    backbone = load_backbone(resolve(f"random:{given.arch}"), device=lent.device)
    problem = Problem(lent, data, data, Truth.of(data), protocol.short, protocol.long)
    detector = seeded(lambda: build_detector(protocol, backbone, 80), seed=0).to(lent.device)
    task = ViewTask(detector, problem, protocol.views)
    around = FineTuneContext(
        device=lent.device,
        workers=given.workers,
        scratch=folder / "scratch",
        output=folder / "scratch",
        progress=lent.progress,
    )
    course = protocol.learning.course(len(task.places), detector.taps.parameter_layers())
    tuning = FineTuning(task, course, around)
    ready = [task.sample(position) for position in range(given.batch)]
    batches = tuning.batches()
    theirs = resnet_step([task.sample(p) for p in range(given.batch)], lent)

    def bare() -> None:
        tuning.train_step(ready)
        tuning.step -= 1

    works = {
        "bare step": bare,
        "loop": lambda: tuning.train_step(next(batches)),
        "torchvision's R-50": theirs,
    }
    times = race(works, given.rounds, lent.device)
    floor = product_speed(lent.device) / operations(detector, task)
    print(
        f"\ntraining, short side {given.short} px, {given.batch} images a step, {PHOTO} px photos"
    )
    for name, each in times.items():
        rate, ratio = given.batch / each.least, times["torchvision's R-50"].least / each.least
        print(f"  {name:<20} {rate:7.2f} images a second, ratio {ratio:.2f}")
    print(f"  floor                {floor:7.2f}")
    detector.eval()
    image = np.array(data[0].image)
    seen = fitted(PHOTO, short=protocol.short, long=protocol.long)
    shown = Shown(0, PHOTO, resize_image(image, seen))
    view = normalized(shown.pixels, lent)

    def results() -> None:
        for found in detect([shown], lent, detector):
            detected(shown, found, problem.truth)

    with torch.inference_mode():
        alone = best(lambda: detector.detect([view]), given.rounds, lent.device)
        whole = best(results, given.rounds, lent.device)
    print("inference")
    print(f"  boxes and masks      {1 / whole:7.2f} images/s, network alone {1 / alone:.2f}")


def operations(detector: Detector, task: ViewTask) -> float:
    """Count what a training image takes: of the blocks by formula, else counted."""
    info, view = detector.taps.info, task.sample(0)
    size = [-(-side // 32) * 32 // info.patch_size for side in view.image.shape[:2]]
    tokens, dim = size[0] * size[1], info.embed_dim
    backbone = info.depth * (24 * tokens * dim**2 + 4 * tokens**2 * dim)
    where = task.problem.context.device
    maps = [torch.zeros(1, dim, *size, device=where, requires_grad=True) for _ in range(4)]
    adapter: Any = detector.taps.adapter
    with (
        patch.object(detector.taps, "forward", lambda *_: adapter.of_each([maps])),
        FlopCounterMode(display=False) as counter,
    ):
        torch.autograd.backward(task.losses([view], range(1))["loss"])
    return float(3 * backbone + counter.get_total_flops() / 2)  # backward takes two passes


def resnet_step(views: list[Any], lent: Any) -> Callable[[], None]:
    """Return a training step of torchvision's Mask R-CNN on the same images."""
    short = min(views[0].image.shape[:2])
    network = maskrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, min_size=short, max_size=1333, num_classes=81
    )
    network.to(lent.device).train()
    images: list[Tensor] = [
        torch.from_numpy(view.image).permute(2, 0, 1).float().div(255).to(lent.device)
        for view in views
    ]
    targets = [
        {
            name: torch.from_numpy(getattr(view, name)).to(lent.device)
            for name in ("boxes", "labels", "masks")
        }
        for view in views
    ]
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-4)

    def step() -> None:
        optimizer.zero_grad()
        with lent.autocast():
            losses = network(images, targets)
        torch.autograd.backward(sum(losses.values(), torch.zeros((), device=lent.device)))
        optimizer.step()

    return step


def score(path: Path, data: str, rounds: int) -> None:
    """Time the scoring of a results file by each engine."""
    dataset = open_coco(find_root(data), "val")
    truth = Truth.of(dataset)
    detections = read_results(path, truth)
    print(f"\nscoring {len(detections)} boxes and masks in {len(dataset)} images")
    engines: tuple[Engine, ...] = ("pycocotools", "faster-coco-eval")
    times: dict[str, list[float]] = {engine: [] for engine in engines}
    found = {}
    for _ in range(rounds):
        for engine in engines:
            start = time.perf_counter()
            found[engine] = [evaluate_kind(truth, detections, kind, engine) for kind in KINDS]
            times[engine].append(time.perf_counter() - start)
    slow, fast = (found[engine] for engine in engines)
    gap = max(
        np.abs(one.precision - other.precision).max() for one, other in zip(slow, fast, strict=True)
    )
    for name, each in times.items():
        ratio = min(times["pycocotools"]) / min(each)
        print(f"  {name:<18} {min(each):6.2f} s, ratio {ratio:.2f}")
    print(f"  largest difference of a precision: {gap:.1e}")


if __name__ == "__main__":
    main()
