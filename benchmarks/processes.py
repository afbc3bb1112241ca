"""Every recipe and every protocol on several processes (gloo) against one: how far they differ.

    python -m benchmarks.processes --processes 2 3 [--only NAME …]

Recipes make six steps in double precision, whole and with `--shard`; protocols run short on
synthetic data. `profile` measures speed and is left out. All numbers of processes run at once.
"""

import argparse
import math
import multiprocessing
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from benchmarks.stopwatch import conditions
from tests.protocols.detection.test_detection import SHORT
from tests.protocols.segmentation.test_interrupted import METHODS as SEGMENTERS
from tests.tiny_clips import write_davis
from tests.tiny_training import EXACT, nano_networks, tiny, trained
from vitbench.api import EvaluationProtocol, RunOptions, evaluate, read_items, resolve
from vitbench.training.presets import with_terms
from vitbench_protocols.adjacency import Adjacency
from vitbench_protocols.attentive_probe import AttentiveProbe
from vitbench_protocols.correspondence import Correspondence
from vitbench_protocols.davis import Davis
from vitbench_protocols.depth import Depth
from vitbench_protocols.discovery import Discovery
from vitbench_protocols.feature_pca import FeaturePca
from vitbench_protocols.health import Health
from vitbench_protocols.knn import Knn
from vitbench_protocols.layers import Layers
from vitbench_protocols.linear_probe import LinearProbe
from vitbench_protocols.logistic import Logistic
from vitbench_protocols.retrieval import Retrieval
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.settings import Hummingbird, Inference, Squared

RECIPES = ("dino", "selfpatch", "esvit", "moby", "moby_selfpatch")
STEPS, LIMIT, MINUTES = 6, 24, 20
CROP: dict[str, Any] = {"resize": 32, "crop": 32}
SEEN = Inference(short=48, long=256)


def in_sixes(method: Any) -> Any:
    """Return a method that learns from batches of six, which two and three processes can share."""
    return replace(method, learning=replace(method.learning, batch_size=6))


PROTOCOLS: dict[str, EvaluationProtocol] = {
    "adjacency": Adjacency(image_px=64, patch_px=8, overlays=2),
    "attentive-probe": AttentiveProbe(
        **CROP,
        steps=12,
        warmup_steps=3,
        batch_size=12,
        held_out=0.4,
        learning_rates=(1e-6, 1e-1),
        weight_decays=(1e-3,),
    ),
    "correspondence": Correspondence(size=64),
    "davis": Davis(resolution=48),
    "depth": Depth(size=32, batch_size=6, pictures=2, hidden=8, epochs=2),
    "detection": replace(SHORT, learning=replace(SHORT.learning, batch_size=6, epochs=1, drops=())),
    "discovery": Discovery(split="val", method="tokencut"),
    "feature-pca": FeaturePca(),
    "health": Health(images=40, view_images=4, views=3, **CROP),
    "knn": Knn(**CROP),
    "layers": Layers(of="correspondence", of_preset="small"),
    "linear-probe": LinearProbe(**CROP, batch_size=12, epochs=3),
    "logistic": Logistic(shots=3, draws=2, held_out=0.3, c_values=(0.01, 1.0), **CROP),
    "retrieval": Retrieval(size=48),
    "segmentation hummingbird": Segmentation(
        method=Hummingbird(k=5, memory=800), inference=Squared(size=64)
    ),
    "segmentation knn": Segmentation(method=SEGMENTERS["knn"], inference=SEEN),
    **{
        f"segmentation {name}": Segmentation(method=in_sixes(SEGMENTERS[name]), inference=SEEN)
        for name in ("linear", "fine-tuning")
    },
}

Found = dict[str, tuple[Any, Any]]  # by name: scores, and what is compared number by number


@dataclass(frozen=True)
class Place:
    """Where one number of processes works."""

    folder: Path
    processes: int
    names: tuple[str, ...]

    def run(self, rank: int) -> None:
        """Do all of the work as one of the processes, and leave what was found."""
        torch.set_num_threads(1)
        os.environ["VITBENCH_CACHE"] = str(self.folder / f"cache{self.processes}")
        if self.processes > 1:
            meeting = f"file://{self.folder}/meet{self.processes}"
            dist.init_process_group(
                "gloo", init_method=meeting, rank=rank, world_size=self.processes
            )
        found: Found = {}
        for name, work in works(self, rank):
            if any(part in name for part in self.names) or not self.names:
                found[name] = work()
        if rank == 0:
            torch.save(found, self.folder / f"{self.processes}.pt")
        if self.processes > 1:
            dist.destroy_process_group()


def works(place: Place, rank: int) -> Iterable[tuple[str, Callable[[], tuple[Any, Any]]]]:
    """Yield every recipe and protocol by name, as something to do."""
    for name in (*RECIPES, *(f"{method}_swin" for method in RECIPES)):
        yield name, partial(_learned, place, rank, name)
        yield f"{name} --shard", partial(_learned, place, rank, name, shard=place.processes > 1)
    for name in PROTOCOLS:
        yield name, partial(_scored, place, name)


def _learned(place: Place, rank: int, name: str, shard: bool = False) -> tuple[Any, Any]:
    """Train a recipe; return this process's losses, and the state that all agree on."""
    with nano_networks():
        recipe = replace(with_terms(tiny(name), queue=12), batch_size=6)
        computing = replace(EXACT, shard=shard)
        _, state = trained(recipe, STEPS, rank=rank, processes=place.processes, computing=computing)
    return {}, {**state["pair"], **state["objectives"]}


def _scored(place: Place, name: str) -> tuple[Any, Any]:
    """Run a protocol; return its scores, and what it found for each item."""
    data = str(place.folder / "davis") if name == "davis" else "synthetic"
    results = place.folder / f"results{place.processes}"
    options = RunOptions(data=data, results=results, limit=LIMIT)
    found = evaluate(PROTOCOLS[name], resolve("random:vit_mini_patch8_64"), options)
    if dist.is_initialized() and dist.get_rank():
        return {}, {}
    scores = {one.metric: one.value for one in found.record.scores}
    items = read_items(found.record, results) if found.record.items else {}
    return scores, {key: value for key, value in items.items() if value.dtype.kind in "fiub"}


def apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Return the largest difference of two mappings' numbers; inf where shapes or names differ."""
    if one.keys() != other.keys():
        return math.inf
    return max((_difference(one[key], other[key]) for key in one), default=0.0)


def _difference(one: Any, other: Any) -> float:
    first, second = (
        np.asarray(value.cpu() if isinstance(value, Tensor) else value, dtype=np.float64)
        for value in (one, other)
    )
    if first.shape != second.shape:
        return math.inf
    gaps = np.abs(first - second)[~(np.isnan(first) & np.isnan(second))]
    return float(gaps.max()) if gaps.size else 0.0


def main() -> None:
    """Run everything on every number of processes, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--only", nargs="*", default=[], help="parts of names")
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_davis(folder / "davis")
        places = [Place(folder, count, tuple(given.only)) for count in (1, *given.processes)]
        started = [
            context.Process(target=place.run, args=(rank,))
            for place in places
            for rank in range(place.processes)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(60 * MINUTES)
        failed = [process.exitcode for process in started if process.exitcode]
        alone, *others = (
            torch.load(folder / f"{place.processes}.pt", weights_only=False) for place in places
        )
    if failed:
        raise SystemExit(f"processes ended with {failed}")
    print(conditions())
    heads = [
        f"{count}: {what}" for count in given.processes for what in ("scores", "items, weights")
    ]
    print("| recipe or protocol |", " | ".join(heads), "|")
    print("| --- " * (len(heads) + 1) + "|")
    for name, (scores, parts) in alone.items():
        cells = []
        for other in others:
            cells += [f"{apart(scores, other[name][0]):.1g}", f"{apart(parts, other[name][1]):.1g}"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
