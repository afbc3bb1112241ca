"""Image-level features, extracted once, cached by content, shared by protocols.

A store is one folder with one array a (layer, pooling). Its name hashes everything that the
numbers depend on; labels are not among it. While it is made, every process has a file of its own
(`feature_parts`), so a killed pass goes on where it stopped.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from vitbench import distributed
from vitbench.cache import cache_root
from vitbench.data.kinds import ClassificationDataset, ImageDataset
from vitbench.data.loader import load_batches
from vitbench.data.readback import Fetched, one_behind
from vitbench.data.transforms import ImageView, Normalization
from vitbench.data.upload import send
from vitbench.engine.feature_parts import Parts
from vitbench.engine.options import Progress
from vitbench.file_lock import lock
from vitbench.models.backbone import Backbone, BackboneInfo, Features
from vitbench.models.identity import WeightsIdentity
from vitbench.records import atomic
from vitbench.settings import as_dict, digest

VERSION = 2  # +1 when the numbers of a pass can change
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

# What image-level protocols read. Every pass stores all of it: the forward pass costs the time.
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

    def identity(self, images: str, view: ImageView) -> dict[str, Any]:
        """Return everything that the features of images depend on; its digest names the store."""
        return {
            "version": VERSION,
            "weights": self.weights.at((view.crop, view.crop)).digest,
            "normalization": as_dict(self.normalization),
            "view": as_dict(view),
            "precision": self.precision,
            "images": images,
        }


def features_root() -> Path:
    """Return the folder that holds every store."""
    return cache_root() / "features"


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
    """
    run.backbone.check_images(spec.view.crop, spec.view.crop)
    identity = run.identity(images, spec.view)
    store = features_root() / digest(identity)[:32]
    start = time.perf_counter()
    if distributed.is_main():
        store.mkdir(parents=True, exist_ok=True)
    distributed.barrier()
    with _locked(store):
        wanted = _usable(run.backbone, spec.outputs)
        missing = [output for output in wanted if not _path(store, output).exists()]
        missing = distributed.from_main(missing)
        passed = 0
        if missing:
            extra = _usable(run.backbone, IMAGE_LEVEL)
            todo = [o for o in dict.fromkeys([*missing, *extra]) if not _path(store, o).exists()]
            passed = _fill(
                run, dataset, spec.view, store, tuple(distributed.from_main(todo)), progress
            )
            if distributed.is_main():
                _describe(store, identity, run.backbone.info.arch, dataset)
        distributed.barrier()
    targets = dataset.targets if isinstance(dataset, ClassificationDataset) else ()
    return FeatureTable(
        ids=dataset.ids,
        targets=np.asarray(targets, dtype=np.int64),
        arrays={o.key: np.load(_path(store, o), mmap_mode="r") for o in wanted},
        classes=dataset.info.classes or 0,
        hit=not missing,
        seconds=time.perf_counter() - start if missing else 0.0,
        images=passed,
    )


def _fill(
    run: Pass,
    dataset: ImageDataset[Any],
    view: ImageView,
    store: Path,
    outputs: tuple[Output, ...],
    progress: Progress,
) -> int:
    """Compute every batch that is not finished yet; return the number of images in them."""
    size = run.batch_size or BATCH.get(run.device.type, 64)
    batches = [range(at, min(at + size, len(dataset))) for at in range(0, len(dataset), size)]
    parts = Parts(
        store,
        tag=hashlib.sha256(f"{size} {[o.key for o in outputs]}".encode()).hexdigest()[:8],
        widths=[output.width(run.backbone.info) for output in outputs],
        sizes=list(map(len, batches)),
    )
    number, finished = distributed.from_main((parts.next_number(), parts.done()))
    mine = distributed.share([n for n in range(len(batches)) if n not in finished])
    done, passed = sum(map(len, (batches[n] for n in finished))), 0
    loaded = load_batches(dataset, [batches[n] for n in mine], view, workers=run.workers)
    with parts.part(number + distributed.rank()) as part:
        computed = (
            (len(images), Fetched(_forward(run, pixels, outputs))) for images, pixels in loaded
        )
        for batch, (images, rows) in zip(mine, one_behind(computed), strict=True):
            part.add(batch, rows.numpy())
            passed += images
            ready = min(done + passed * distributed.world_size(), len(dataset))
            progress(f"features of {dataset.info.split}", ready, len(dataset), "images")
    distributed.barrier()
    if distributed.is_main():
        parts.merge([_path(store, output) for output in outputs])
    return passed


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


def _path(store: Path, output: Output) -> Path:
    return store / f"{output.key}.npy"


def _describe(store: Path, identity: dict[str, Any], arch: str, dataset: ImageDataset[Any]) -> None:
    """Write a file that says, for people, what the store holds."""
    labels = {"arch": arch, "dataset": dataset.info.name, "split": dataset.info.split}
    about = {**identity, **labels}
    with atomic(store / "about.json") as path:
        path.write_text(json.dumps(about, indent=1))


@contextmanager
def _locked(store: Path) -> Iterator[None]:
    """Let one run at a time fill a store; its other processes follow the first."""
    if not distributed.is_main():
        yield
        return
    while True:
        store.mkdir(parents=True, exist_ok=True)
        with (store / "lock").open("w") as handle:
            lock(handle, wait=True)
            if _still_there(store, handle):
                yield
                return


def _still_there(store: Path, handle: IO[str]) -> bool:
    """Tell whether a lock is still the store's: the cache may have been cleared meanwhile."""
    try:
        return os.path.samestat((store / "lock").stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False
