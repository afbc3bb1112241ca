"""Honest files of every kind, small: what is damaged later."""

import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from vitbench.data import kept_listing
from vitbench.data.content import Digests
from vitbench.data.packing import Packing, pack_folder
from vitbench.data.retrieval import write_demo as write_retrieval
from vitbench.engine.feature_store import Batches
from vitbench.kept_resamples import KeptResamples
from vitbench.models.export import save_backbone
from vitbench.models.factory import build
from vitbench.training.options import CheckpointConfig
from vitbench.training.snapshot import Snapshots

ARCH = "vit_micro_patch8_32"
MANIFESTS = Path(__file__).parents[2] / "checkpoints" / "vitbench_checkpoints"


def weights(root: Path) -> None:
    """A checkpoint."""
    torch.save({"model": build(ARCH, seed=0).state_dict(), "epoch": 3}, root / "w.pth")


def legacy_weights(root: Path) -> None:
    """A checkpoint of the older kind."""
    state = {"teacher": build(ARCH, seed=0).state_dict(), "args": {"arch": "x"}}
    torch.save(state, root / "w.legacy", _use_new_zipfile_serialization=False)


def safetensors(root: Path) -> None:
    """Weights with metadata."""
    save_file(build(ARCH, seed=0).state_dict(), root / "w.safetensors", {"vitbench": '{"a": 1}'})


def run_folder(root: Path) -> None:
    """The folder of a training."""
    save_backbone(build(ARCH, seed=0), root / "backbone.safetensors", method="dino")
    rows = [{"step": step, "of": 9, "loss": 1.0} for step in range(1, 4)]
    (root / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def snapshot(root: Path) -> None:
    """A snapshot of a training."""
    kept = Snapshots(root, CheckpointConfig())
    kept.save({"step": 3, "weights": {"x": torch.ones(4)}}, step=3)
    kept.wait()
    kept.close()


def folders(root: Path) -> None:
    """Two classes of two images in each split."""
    for split in ("train", "val"):
        for kind in ("blue", "red"):
            (root / split / kind).mkdir(parents=True)
            pixels = np.random.default_rng(len(kind)).integers(0, 256, (9, 11, 3), np.uint8)
            Image.fromarray(pixels).save(root / split / kind / "0.png")
            Image.fromarray(pixels).save(root / split / kind / "1.jpg")


def flat_split(root: Path) -> None:
    """A split without class folders, with its list."""
    (root / "val").mkdir()
    rows = []
    for number in range(3):
        name = f"ILSVRC2012_val_{number + 1:08}"
        Image.new("RGB", (8, 8), (80 * number, 0, 0)).save(root / "val" / f"{name}.png")
        rows.append(f"{name},n0{number} 1 1 2 2")
    text = "\n".join(["ImageId,PredictionString", *rows])
    (root / "LOC_val_solution.csv").write_text(text)


def shards(root: Path) -> None:
    """Shards to train on."""
    source = root.parent / "source"
    folders(source)
    pack_folder(source / "train", root, Packing(size=8, workers=1))
    shutil.rmtree(source)


def labeled_shards(root: Path) -> None:
    """Shards with a class for each image."""
    for split in ("train", "val"):
        with tarfile.open(root / f"{split}-0.tar", "w") as tar:
            for number in range(3):
                stream = io.BytesIO()
                Image.new("RGB", (8, 8), (90 * number, 9, 9)).save(stream, "PNG")
                label = json.dumps({"label": number % 2}) if number else str(number)
                for suffix, data in (
                    ("png", stream.getvalue()),
                    ("json" if number else "cls", label.encode()),
                ):
                    info = tarfile.TarInfo(f"{number}.{suffix}")
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    (root / "classes.txt").write_text("ant\nbee\n")


def tables(root: Path) -> None:
    """Parquet files."""
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (90, 9, 9)).save(stream, "PNG")
    rows = [{"image": {"bytes": stream.getvalue(), "path": "x"}, "label": n} for n in (0, 1, 1)]
    for split in ("train", "test"):
        name = root / f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), name)


def retrieval_pickle(root: Path) -> None:
    """The ground truth of revisited Oxford."""
    write_retrieval(root)
    (path,) = root.glob("*.json")
    truth = json.loads(path.read_text())
    truth["gnd"][0]["bbx"] = np.asarray(truth["gnd"][0]["bbx"], np.float64)
    path.with_suffix(".pkl").write_bytes(pickle.dumps(truth, protocol=2))
    path.unlink()


def split_list(root: Path) -> None:
    """A list of images."""
    folders(root / "data")
    (root / "list.txt").write_text("train/blue/0.png\ntrain/red/1.jpg\n# a word\n")


def manifests(root: Path) -> None:
    """A manifest."""
    shutil.copy(next(iter(sorted(MANIFESTS.glob("dino*.toml")))), root)


def records(root: Path) -> None:
    """Records of two runs."""
    from tests.faults.jobs import tiny_records

    tiny_records(root)


def zipped_masks(root: Path) -> None:
    """Result masks in a zip file."""
    with zipfile.ZipFile(root / "masks.zip", "w") as archive:
        for clip in ("duo", "solo"):
            stream = io.BytesIO()
            Image.new("L", (8, 8)).save(stream, "PNG")
            archive.writestr(f"results/{clip}/00000.png", stream.getvalue())


def results(root: Path) -> None:
    """A COCO results file."""
    entries = [
        {"image_id": 1, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
        {"image_id": 2, "category_id": 2, "bbox": [0, 0, 9, 9], "score": 1},
    ]
    for entry in entries:
        entry["segmentation"] = {"size": [20, 30], "counts": [100, 50, 450]}
    (root / "results.json").write_text(json.dumps(entries))


def cache(root: Path) -> None:
    """Something of every part of the cache."""
    with within(root):
        folder = root.parent / "counted"
        folder.mkdir()
        for number in range(3):
            (folder / f"{number}.png").write_bytes(b"x" * number)
            os.utime(folder / f"{number}.png", (0, 0))
        Digests(folder).of(sorted(folder.iterdir()))
        names = [path.name for path in sorted(folder.iterdir())]
        kept_listing.WORTH, before = 1, kept_listing.WORTH
        os.utime(folder, (0, 0))
        kept_listing.keep_listing(folder, names, {"": (1, 2, 0, 0)})
        kept_listing.WORTH = before
        items = {"ids": np.arange(4).astype(str), "top1": np.array([0.0, 100, 100, 0])}
        KeptResamples()(items, "top1")
        place = root / "features" / "store"
        place.mkdir(parents=True)
        kept = Batches(place, "t", [2, 2], {"a": 3})
        with kept.writer(2) as writer:
            for number in range(2):
                writer.write(number, np.full((2, 3), number, np.float32))
        np.save(place / "a.npy", np.ones((4, 3), np.float32))
        (root / "gate").mkdir()
        (root / "gate" / "x.json").write_text('[{"passed": true, "text": "fine"}]')


@contextmanager
def within(cache: Path) -> Iterator[None]:
    """Use a cache for the time of the block."""
    before = os.environ.get("VITBENCH_CACHE")
    os.environ["VITBENCH_CACHE"] = str(cache)
    try:
        yield
    finally:
        os.environ.pop("VITBENCH_CACHE")
        if before is not None:
            os.environ["VITBENCH_CACHE"] = before
