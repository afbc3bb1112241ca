"""Image-level features, extracted once, cached by content, shared by protocols.

A store is one folder with one array a (layer, pooling). Its name hashes everything that the
numbers depend on; labels are not among it. Finished batches are kept while it is made, so a killed
pass goes on where it stopped.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vitbench import distributed
from vitbench.cache import cache_place, find_cached, writing_to_cache
from vitbench.data.decode import CorruptImage
from vitbench.data.kinds import ClassificationDataset, ImageDataset
from vitbench.data.loader import load_batches
from vitbench.data.readback import Fetched, one_behind
from vitbench.data.transforms import ImageView, Normalization
from vitbench.data.upload import send
from vitbench.engine.feature_store import Batches, is_whole
from vitbench.engine.options import Kept, Progress
from vitbench.errors import CacheError
from vitbench.folder_lock import folder_lock
from vitbench.models.backbone import Backbone, BackboneInfo, Features
from vitbench.models.identity import WeightsIdentity
from vitbench.records import atomic, sweep
from vitbench.settings import as_dict, digest

VERSION = 4  # +1 when the numbers of a pass can change
BATCH = {"cpu": 32, "cuda": 256}

Pooling = Literal["pooled", "mean"]


@dataclass(frozen=True, slots=True)
class Output:
    """One feature vector for each image: which block it is from, and how tokens are pooled."""

    layer: int  # from the end: -1 is the last block
    pooling: Pooling = "pooled"  # the image-level embedding, or the mean of the patches

    @property
    def key(self) -> str:
        """The name of its file."""
        return f"block{self.layer}.{self.pooling}"

    def width(self, info: BackboneInfo) -> int:
        """Return D of the vector."""
        pooled = self.pooling == "pooled"
        return info.pooled_width(self.layer) if pooled else info.stage(self.layer).width

    def of(self, features: Features) -> torch.Tensor:
        """Make the vector, (B, D)."""
        return features.pooled if self.pooling == "pooled" else features.patches.mean(dim=(2, 3))


CENTER_224 = ImageView()

# What image-level protocols read: stored by one pass where more than one of them is to come.
IMAGE_LEVEL = (*(Output(layer) for layer in (-4, -3, -2, -1)), Output(-1, "mean"))


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """The image view and the feature vectors that a protocol asks for."""

    view: ImageView = CENTER_224
    outputs: tuple[Output, ...] = (Output(-1),)


@dataclass(frozen=True, slots=True)
class FeatureTable:
    """The features of one split, one row an item, in the order of the dataset."""

    ids: Sequence[str]
    targets: NDArray[np.int64]  # the class of each item; empty where the data has no classes
    arrays: dict[str, NDArray[np.float32]]  # read from disk as they are used
    classes: int
    hit: bool
    seconds: float  # of the pass; 0 for a hit
    images: int  # passed through the backbone

    def vectors(self, output: Output = Output(-1)) -> torch.Tensor:
        """Return one output of every item, (n, D) float32."""
        return torch.from_numpy(np.array(self.arrays[output.key]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One pass of a dataset through a backbone: everything that the features depend on."""

    backbone: Backbone
    weights: WeightsIdentity  # of the backbone
    normalization: Normalization
    precision: Literal["fp32", "bf16"]
    device: torch.device
    workers: int
    batch_size: int | None = None  # images of a forward pass; None: what suits the device
    store: Kept = "asked"

    def identity(self, images: str, view: ImageView) -> dict[str, Any]:
        """Return everything that the features of images depend on; its digest names the store."""
        return {
            "version": VERSION,
            "weights": self.weights.at((view.crop, view.crop)).digest,
            "normalization": as_dict(self.normalization),
            "view": view.identity(),
            "precision": self.precision,
            "images": images,
        }


def features_root() -> Path:
    """Return the folder that holds every store."""
    return cache_place("features")


def extract(
    run: Pass, dataset: ImageDataset[Any], images: str, spec: FeatureSpec, progress: Progress
) -> FeatureTable:
    """Return the features of a dataset, from the cache or by one pass.

    Several processes share the pass by whole batches, so the numbers do not depend on how many.

    Args:
        run: The backbone and how it runs.
        dataset: Whose images pass.
        images: Fingerprint of those images in their order.
        spec: The view, and which vectors are asked for.
        progress: Told how far it is.

    Raises:
        CacheError: The features can't be written.
        CorruptImage: An image can't be decoded.
    """
    run.backbone.check_images(spec.view.crop, spec.view.crop)
    identity = run.identity(images, spec.view)
    store = Store(digest(identity)[:32], len(dataset), run.backbone.info)
    start = time.perf_counter()
    wanted, passed = _usable(run.backbone, spec.outputs), 0
    missing = distributed.compute_on_main(lambda: store.missing(wanted))
    if missing:
        with ExitStack() as stack:  # one run at a time fills a store; others follow the first
            distributed.compute_on_main(lambda: store.hold(stack))
            missing = distributed.compute_on_main(lambda: store.missing(wanted))
            if missing:
                more = _usable(run.backbone, IMAGE_LEVEL) if run.store == "all" else []
                todo = distributed.from_main(store.missing([*missing, *more]))
                passed = _fill(run, dataset, spec.view, store, todo, progress)
                distributed.compute_on_main(lambda: store.describe(identity, dataset))
    targets = dataset.targets if isinstance(dataset, ClassificationDataset) else ()
    return FeatureTable(
        ids=dataset.ids,
        targets=np.asarray(targets, dtype=np.int64),
        arrays={o.key: np.load(store.find(o), mmap_mode="r") for o in wanted},
        classes=dataset.info.classes or 0,
        hit=not missing,
        seconds=time.perf_counter() - start if missing else 0.0,
        images=passed,
    )


@dataclass(frozen=True, slots=True)
class Store:
    """The folder with the features of some images: one array a (layer, pooling)."""

    name: str
    images: int
    info: BackboneInfo

    @property
    def folder(self) -> Path:
        """Where it is written."""
        return features_root() / self.name

    def find(self, output: Output) -> Path:
        """Return where an output lies, in a cache that can't be written too."""
        return find_cached("features", self.name, f"{output.key}.npy")

    def missing(self, outputs: Sequence[Output]) -> tuple[Output, ...]:
        """Return the outputs that are not there, or not whole, each once."""
        return tuple(
            output
            for output in dict.fromkeys(outputs)
            if not is_whole(self.find(output), (self.images, output.width(self.info)))
        )

    def hold(self, stack: ExitStack) -> None:
        """Hold the folder until the stack is closed; wait for another run that holds it."""
        with writing_to_cache("features", self.folder):
            stack.enter_context(folder_lock(self.folder, wait=True))
        sweep(self.folder)

    def batches(self, outputs: Sequence[Output], rows: Sequence[int]) -> Batches:
        """Return the batches, of so many rows each, of a pass that makes some outputs."""
        what = f"{rows[:1]} {[output.key for output in outputs]}"
        tag = hashlib.sha256(what.encode()).hexdigest()[:8]
        widths = {output.key: output.width(self.info) for output in outputs}
        return Batches(self.folder, tag, rows, widths)

    def describe(self, identity: dict[str, Any], dataset: ImageDataset[Any]) -> None:
        """Write a file that says, for people, what the store holds."""
        labels = {"arch": self.info.arch, "dataset": dataset.info.name}
        about = {**identity, **labels, "split": dataset.info.split}
        where = self.folder
        with writing_to_cache("features", where), atomic(where / "about.json") as path:
            path.write_text(json.dumps(about, indent=1))


def _fill(
    run: Pass,
    dataset: ImageDataset[Any],
    view: ImageView,
    store: Store,
    outputs: tuple[Output, ...],
    progress: Progress,
) -> int:
    """Compute every batch that is not finished yet; return the number of images in them."""
    size = run.batch_size or BATCH.get(run.device.type, 64)
    batches = [range(at, min(at + size, len(dataset))) for at in range(0, len(dataset), size)]
    kept = store.batches(outputs, [len(batch) for batch in batches])
    finished = distributed.compute_on_main(lambda: frozenset(kept.finished()))
    mine = distributed.share([n for n in range(len(batches)) if n not in finished])
    done, passed = sum(len(batches[n]) for n in finished), 0
    problem: CacheError | CorruptImage | None = None
    try:
        with kept.writer(len(mine)) as writer:
            loaded = load_batches(dataset, [batches[n] for n in mine], view, workers=run.workers)
            computed = (
                (len(images), Fetched(_forward(run, pixels, outputs))) for images, pixels in loaded
            )
            for number, (images, rows) in zip(mine, one_behind(computed), strict=True):
                writer.write(number, rows.numpy())
                passed += images
                ready = min(done + passed * distributed.world_size(), len(dataset))
                progress(f"features of {dataset.info.split}", ready, len(dataset), "images")
    except (CacheError, CorruptImage) as error:  # the other processes hear of it
        problem = error
    problems = [error for error in distributed.gather(problem) if error is not None]
    if problems:
        raise problems[0]
    places = {output.key: store.folder / f"{output.key}.npy" for output in outputs}
    whole = distributed.compute_on_main(lambda: kept.put_together(places))
    # another run took the batches away: only where the file system has no locks
    return passed if whole else passed + _fill(run, dataset, view, store, outputs, progress)


def _forward(run: Pass, pixels: torch.Tensor, outputs: Sequence[Output]) -> torch.Tensor:
    """Return the vectors of images side by side, (B, sum of the widths), on the device."""
    layers = tuple(sorted({output.layer for output in outputs}))
    images = run.normalization(send(pixels, run.device))
    with torch.inference_mode(), autocast(run.device, run.precision):
        found = dict(zip(layers, run.backbone(images, layers), strict=True))
        return torch.cat([output.of(found[output.layer]).float() for output in outputs], dim=1)


def autocast(device: torch.device, precision: Literal["fp32", "bf16"]) -> torch.autocast:
    """Return the context of a forward pass at a precision."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def _usable(backbone: Backbone, outputs: Sequence[Output]) -> list[Output]:
    return [output for output in outputs if -output.layer <= backbone.info.depth]
