"""Every kind of file that strangers hand in: honest ones, and the code that reads them."""

import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.protocols.detection.conftest import write_coco
from tests.protocols.segmentation.conftest import write_maps
from tests.tiny_clips import write_davis
from tests.unit.data.test_voc_objects import write_voc
from vitbench.api import open_dataset, read_records, resolve
from vitbench.data import kept_listing
from vitbench.data.classification import open_classification
from vitbench.data.content import Digests
from vitbench.data.decode import refusal
from vitbench.data.instances import decode_masks
from vitbench.data.keypoint_pairs import write_demo as write_pairs
from vitbench.data.packing import Packing, pack_folder
from vitbench.data.retrieval import write_demo as write_retrieval
from vitbench.data.selection import selection
from vitbench.data.shards import open_shards, read_shard
from vitbench.engine import sanity_check
from vitbench.engine.feature_store import Batches, is_whole
from vitbench.engine.training_progress import steps_trained
from vitbench.errors import VitbenchError
from vitbench.kept_resamples import KeptResamples
from vitbench.models.checkpoint import load_backbone
from vitbench.models.export import save_backbone
from vitbench.models.factory import build
from vitbench.models.manifest import parse_manifest
from vitbench.records import Record
from vitbench.reports.render import render
from vitbench.reports.table import build_table
from vitbench.training.metric_log import read_metrics
from vitbench.training.options import CheckpointConfig
from vitbench.training.snapshot import Snapshots, load_snapshot
from vitbench_protocols.davis.result_folder import result_folder
from vitbench_protocols.detection.results import read_results
from vitbench_protocols.detection.truth import Truth

ARCH = "vit_micro_patch8_32"
MANIFESTS = Path(__file__).parents[2] / "checkpoints" / "vitbench_checkpoints"


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of files: who writes honest ones, who reads them, which of them are damaged."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    files: str = "**/*"  # that are damaged
    own: bool = False  # a cache of ours, which is made again and never refused


def _weights(root: Path) -> None:
    torch.save({"model": build(ARCH, seed=0).state_dict(), "epoch": 3}, root / "w.pth")


def _legacy(root: Path) -> None:
    state = {"teacher": build(ARCH, seed=0).state_dict(), "args": {"arch": "x"}}
    torch.save(state, root / "w.legacy", _use_new_zipfile_serialization=False)


def _safetensors(root: Path) -> None:
    save_file(build(ARCH, seed=0).state_dict(), root / "w.safetensors", {"vitbench": '{"a": 1}'})


def _run_folder(root: Path) -> None:
    save_backbone(build(ARCH, seed=0), root / "backbone.safetensors", method="dino")
    rows = [{"step": step, "of": 9, "loss": 1.0} for step in range(1, 4)]
    (root / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _load_run_folder(root: Path) -> None:
    load_backbone(resolve(str(root), arch=ARCH))
    steps_trained(root / "metrics.jsonl")
    read_metrics(root)


def _snapshot(root: Path) -> None:
    kept = Snapshots(root, CheckpointConfig())
    kept.save({"step": 3, "weights": {"x": torch.ones(4)}}, step=3)
    kept.wait()
    kept.close()


def _load_snapshot(root: Path) -> None:
    (path,) = root.iterdir()
    load_snapshot(path, torch.device("cpu"))


def _load(root: Path) -> None:
    (path,) = root.iterdir()
    load_backbone(resolve(str(path), arch=ARCH))


def _instances(root: Path) -> None:
    for split in ("train", "val"):
        dataset = open_dataset(str(root), "instances", split)
        for index in range(len(dataset)):
            decode_masks(dataset.target(index))


def _all_items(kind: str, split: str) -> Callable[[Path], None]:
    def read(root: Path) -> None:
        dataset: Any = open_dataset(str(root), kind, split)
        for index in range(len(dataset)):
            item = dataset[index]
            for frame in range(len(item.masks) if kind == "clips" else 0):
                item.mask(frame)
                item.frame(frame)
            if kind == "semantic":
                dataset.target(index)

    return read


def _folders(root: Path) -> None:
    for split in ("train", "val"):
        for kind in ("blue", "red"):
            (root / split / kind).mkdir(parents=True)
            pixels = np.random.default_rng(len(kind)).integers(0, 256, (9, 11, 3), np.uint8)
            Image.fromarray(pixels).save(root / split / kind / "0.png")
            Image.fromarray(pixels).save(root / split / kind / "1.jpg")


def _tiny_ilsvrc(root: Path) -> None:
    (root / "val").mkdir()
    rows = []
    for number in range(3):
        name = f"ILSVRC2012_val_{number + 1:08}"
        Image.new("RGB", (8, 8), (80 * number, 0, 0)).save(root / "val" / f"{name}.png")
        rows.append(f"{name},n0{number} 1 1 2 2")
    text = "\n".join(["ImageId,PredictionString", *rows])
    (root / "LOC_val_solution.csv").write_text(text)


def _images(root: Path) -> None:
    dataset = open_classification(root, "val")
    broken = [found for n in range(len(dataset)) if (found := refusal(lambda: dataset.encoded(n)))]  # noqa: B023
    if broken:
        raise broken[0]
    for index in range(len(dataset)):
        dataset[index]


def _shards(root: Path) -> None:
    source = root.parent / "source"
    _folders(source)
    pack_folder(source / "train", root, Packing(size=8, workers=1))
    shutil.rmtree(source)


def _read_shards(root: Path) -> None:
    shards = open_shards(str(root))
    for url in shards.urls:
        list(read_shard(url))


def _labeled_shards(root: Path) -> None:
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


def _parquet(root: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    Image.new("RGB", (8, 8), (90, 9, 9)).save(stream, "PNG")
    rows = [{"image": {"bytes": stream.getvalue(), "path": "x"}, "label": n} for n in (0, 1, 1)]
    for split in ("train", "test"):
        name = root / f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), name)


def _truth_pickle(root: Path) -> None:
    write_retrieval(root)
    (path,) = root.glob("*.json")
    truth = json.loads(path.read_text())
    truth["gnd"][0]["bbx"] = np.asarray(truth["gnd"][0]["bbx"], np.float64)
    path.with_suffix(".pkl").write_bytes(pickle.dumps(truth, protocol=2))
    path.unlink()


def _retrieval(root: Path) -> None:
    dataset: Any = open_dataset(str(root), "retrieval", "queries")
    for index in range(len(dataset)):
        dataset[index]


def _split_list(root: Path) -> None:
    _folders(root / "data")
    (root / "list.txt").write_text("train/blue/0.png\ntrain/red/1.jpg\n# a word\n")


def _selected(root: Path) -> None:
    dataset = open_classification(root / "data", "train")
    selection(None, [str(root / "list.txt")], ("train",)).of(dataset)


def _manifests(root: Path) -> None:
    shutil.copy(next(iter(sorted(MANIFESTS.glob("dino*.toml")))), root)


def _read_manifests(root: Path) -> None:
    for path in root.iterdir():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # an installed package's own file
            return
        parse_manifest(text, name=path.stem)


def _records(root: Path) -> None:
    from tests.faults.jobs import tiny_records

    tiny_records(root)


def _report(root: Path) -> None:
    found = list(read_records(root))
    names = [record.subject.name for record in found if isinstance(record, Record)]
    for compare in ((), names):
        try:
            table = build_table(found, compare=compare, folder=root)
        except VitbenchError:  # of one name alone there is nothing to compare
            continue
        for form in ("html", "rich", "csv"):
            render(table, form)


def _masks(root: Path) -> None:
    with zipfile.ZipFile(root / "masks.zip", "w") as archive:
        for clip in ("duo", "solo"):
            stream = io.BytesIO()
            Image.new("L", (8, 8)).save(stream, "PNG")
            archive.writestr(f"results/{clip}/00000.png", stream.getvalue())


def _unpacked(root: Path) -> None:
    with result_folder(root / "masks.zip", ["duo", "solo"]) as folder:
        assert (folder / "duo").is_dir()
    assert {path.name for path in root.iterdir()} == {"masks.zip"}


SIZES = {1: (20, 30), 2: (20, 30)}


def _results(root: Path) -> None:
    entries = [
        {"image_id": 1, "category_id": 2, "bbox": [1.0, 2.0, 3.0, 4.0], "score": 0.5},
        {"image_id": 2, "category_id": 2, "bbox": [0, 0, 9, 9], "score": 1},
    ]
    for entry in entries:
        entry["segmentation"] = {"size": [20, 30], "counts": [100, 50, 450]}
    (root / "results.json").write_text(json.dumps(entries))


def _read_results(root: Path) -> None:
    from vitbench_protocols.detection.results import box_of, runs_of

    truth = Truth.__new__(Truth)
    for name, value in (("name", "x"), ("sizes", SIZES), ("categories", {2: "cat"})):
        object.__setattr__(truth, name, value)
    for one in read_results(root / "results.json", truth):
        box_of(one, truth)
        if one.segmentation:
            runs_of(one, truth)


def _cache(root: Path) -> None:
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


def _read_cache(root: Path) -> None:
    with within(root):
        folder = root.parent / "counted"
        digests = [hashlib.sha256(b"x" * number).digest() for number in range(3)]
        assert Digests(folder).of(sorted(folder.iterdir())) == digests
        kept_listing.read_listing(folder)
        items = {"ids": np.arange(4).astype(str), "top1": np.array([0.0, 100, 100, 0])}
        found = KeptResamples()(items, "top1")
        assert found is not None
        assert len(found.drawn)
        place = root / "features" / "store"
        for number, (part, offset) in Batches(place, "t", [2, 2], {"a": 3}).finished().items():
            held = np.frombuffer(part.read_bytes()[offset : offset + 24], np.float32)
            assert (held == number).all()
        if is_whole(place / "a.npy", (4, 3)):
            np.load(place / "a.npy")
        sanity_check._recalled(root / "gate" / "x.json")


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


READERS = (
    Reader("weights", _weights, _load),
    Reader("legacy weights", _legacy, _load),
    Reader("safetensors", _safetensors, _load),
    Reader("run folder", _run_folder, _load_run_folder),
    Reader("snapshot", _snapshot, _load_snapshot),
    Reader("instances", write_coco, _instances, "annotations/*"),
    Reader("index maps", write_maps, _all_items("semantic", "val"), "[ac]*/**/*"),
    Reader("clips", write_davis, _all_items("clips", "val")),
    Reader("folders", _folders, _images),
    Reader("flat split", _tiny_ilsvrc, _images),
    Reader("training shards", _shards, _read_shards),
    Reader("labeled shards", _labeled_shards, _images),
    Reader("tables", _parquet, _images),
    Reader("VOC objects", write_voc, lambda root: _all_items("instances", "trainval")(root)),
    Reader("retrieval", write_retrieval, _retrieval, "*.json"),
    Reader("retrieval pickle", _truth_pickle, _retrieval, "*.pkl"),
    Reader("pairs", write_pairs, _all_items("pairs", "test"), "**/*.json"),
    Reader("split list", _split_list, _selected, "list.txt"),
    Reader("manifest", _manifests, _read_manifests),
    Reader("records", _records, _report),
    Reader("zipped masks", _masks, _unpacked),
    Reader("results", _results, _read_results),
    Reader("cache", _cache, _read_cache, own=True),
)
