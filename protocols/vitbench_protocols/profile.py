"""What a score costs: speed, latency, memory, operations and parameters of a backbone."""

import copy
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from vitbench.api import Context, DataKind, MetricSpec, Need, Outcome, Presets, Score, setting
from vitbench.kit import atomic, distributed, write_curve

if TYPE_CHECKING:
    import torch

    from vitbench.api import Backbone

MIB = 1 << 20
WARM_UP = 3  # passes before the first that counts
HALF_WIDTH = 0.98  # of the 95 % interval of a median, in square roots of the number of rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Speed, memory and FLOPs of forward passes on images that are in memory already.

    The first of the sizes is scored; all stand in the table. Precision is that of the run
    (`--precision`). A record answers for the device that it names: on another one, use `--rerun`
    or another folder of results.

    Source:
        huggingface/pytorch-image-models, benchmark.py: passes to warm up, then synchronized
        rounds. FLOPs are those that torch's FlopCounterMode counts (a multiplication and an
        addition are two).

    Differs:
        Speed is the median of the rounds, not their mean.
    """

    name: ClassVar[str] = "profile"
    version: ClassVar[int] = 1
    data: ClassVar[DataKind] = "classification"  # none of its images is looked at
    default_data: ClassVar[str] = "synthetic"
    splits: ClassVar[tuple[str, ...]] = ("val",)
    needs: ClassVar[frozenset[Need]] = frozenset({"backbone"})
    metrics: ClassVar[tuple[MetricSpec, ...]] = (
        MetricSpec("images_per_second", "images/s", unit="", primary=True, repeatable=False),
        MetricSpec(
            "latency", "latency (ms, batch of 1)", "", higher_is_better=False, repeatable=False
        ),
        MetricSpec("memory", "peak memory (MiB)", "", higher_is_better=False, repeatable=False),
        MetricSpec("flops", "GFLOPs an image", "", higher_is_better=False),
        MetricSpec("parameters", "parameters (millions)", "", higher_is_better=False),
    )
    presets: ClassVar[Presets] = {
        "native": {},
        "resolutions": {"sizes": (224, 384, 512, 768)},
        "small": {"batch_size": 4, "rounds": 5},
    }
    preset_notes: ClassVar[Mapping[str, str]] = {
        "native": "ours: images of 224 px",
        "resolutions": "ours: images of 224, 384, 512 and 768 px",
        "small": "ours: 5 rounds of 4 images; seconds on a CPU",
    }
    examples: ClassVar[tuple[str, ...]] = (
        "vitbench eval profile dino-vits16",
        "vitbench eval profile ckpt.pth --arch vit_small_patch16_224 --preset resolutions",
    )

    sizes: tuple[int, ...] = setting(
        (224,), help="sides of the square images, in pixels; the first one is scored", minimum=8
    )
    batch_size: int = setting(64, help="images in one forward pass", minimum=1)
    rounds: int = setting(20, help="number of timed passes of each size", minimum=3)

    def run(self, backbone: "Backbone", context: Context) -> Outcome:
        """Time the passes of each size."""
        import torch

        for size in self.sizes:
            backbone.check_images(size, size)
        rows, speeds = [], []
        with torch.inference_mode():
            for size in self.sizes:
                row, rounds = self._measure(backbone, context, size)
                rows.append(row)
                speeds.append(rounds)
        first, scored = rows[0], speeds[0]
        parameters = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
        context.note(f"timed on {_device_name(context.device)}, {context.precision}")
        if first["memory"] is None:
            context.note("peak memory is measured on a GPU only")
        scores = (
            Score("images_per_second", float(np.median(scored)), len(scored), _of_median(scored)),
            Score("latency", first["latency"], len(scored)),
            Score("memory", first["memory"], len(scored)),
            Score("flops", first["flops"], 1),
            Score("parameters", parameters, 1),
        )
        ids = np.array([f"round {number:03}" for number in range(len(scored))])
        items = {"ids": ids, "images_per_second": scored}
        return Outcome(scores, items, _write(rows, context.output))

    def _measure(
        self, backbone: "Backbone", context: Context, size: int
    ) -> tuple[dict[str, Any], NDArray[np.float64]]:
        """Return the row of one size, and the speed of each round in images/s."""
        import torch

        generator = torch.Generator().manual_seed(context.seed)
        images = torch.randn(self.batch_size, 3, size, size, generator=generator)
        images = images.to(context.device)
        if images.is_cuda:
            torch.cuda.reset_peak_memory_stats(images.device)
        task = f"passes of {size} px"
        seconds = self._timed(backbone, context, images, task)
        memory = torch.cuda.max_memory_allocated(images.device) / MIB if images.is_cuda else None
        latency = self._timed(backbone, context, images[:1], f"{task}, one by one")
        row = {
            "size": size,
            "images/s": float(np.median(self.batch_size / seconds)),
            "latency": 1000 * float(np.median(latency)),
            "memory": memory,
            "flops": _operations(backbone, size) / 1e9,
        }
        return row, self.batch_size / seconds

    def _timed(
        self, backbone: "Backbone", context: Context, images: "torch.Tensor", task: str
    ) -> NDArray[np.float64]:
        """Return the seconds of each round, (rounds,)."""
        import torch

        found = []
        for number in range(WARM_UP + self.rounds):
            start = time.perf_counter()
            with context.autocast():
                backbone(images)
            if images.is_cuda:
                torch.cuda.synchronize(images.device)
            found.append(time.perf_counter() - start)
            context.progress(task, number + 1, WARM_UP + self.rounds)
        return np.array(found[WARM_UP:])


def _of_median(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % interval of a median: two values of the sorted ones."""
    ranked, count = np.sort(values), len(values)
    reach = HALF_WIDTH * count**0.5
    low = max(0, int(np.floor(count / 2 - reach)))
    high = min(count - 1, int(np.ceil(count / 2 + reach)))
    return float(ranked[low]), float(ranked[high])


def _operations(backbone: "Backbone", size: int) -> int:
    """Count the operations of one pass, without computing it: kernels of a CPU hide them."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    hollow = copy.deepcopy(backbone).to("meta")
    with FlopCounterMode(display=False) as counter:
        hollow(torch.empty(1, 3, size, size, device="meta"))
    return int(counter.get_total_flops())


def _device_name(device: "torch.device") -> str:
    if device.type != "cuda":
        return str(device)
    import torch

    return torch.cuda.get_device_name(device)


def _write(rows: Sequence[dict[str, Any]], folder: Path) -> dict[str, Path]:
    """Write the sizes as CSV and, of several, the speeds as a curve."""
    paths = {"resolutions": folder / "resolutions.csv"}
    sizes = sorted({row["size"]: row["images/s"] for row in rows}.items())
    if len(sizes) > 1:
        paths["speed by size"] = folder / "speed.svg"
    if not distributed.is_main():
        return paths
    folder.mkdir(parents=True, exist_ok=True)
    with (
        atomic(paths["resolutions"]) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(["size, px", "images/s", "latency, ms", "memory, MiB", "GFLOPs"])
        for row in rows:
            values = (row[key] for key in ("images/s", "latency", "memory", "flops"))
            cells = ["" if value is None else f"{value:.4g}" for value in values]
            writer.writerow([row["size"], *cells])
    if len(sizes) > 1:
        points = np.array(sizes, dtype=np.float64).T
        write_curve(paths["speed by size"], "speed", ("side, px", "images/s"), *points)
    return paths
