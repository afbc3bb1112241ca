"""Every kind of file that strangers hand in, and the code that reads it to the end."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.faults import honest
from tests.faults.honest import ARCH, within
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
from vitbench.data.retrieval import write_demo as write_retrieval
from vitbench.data.selection import selection
from vitbench.data.shards import open_shards, read_shard
from vitbench.engine import kept_verdict
from vitbench.engine.feature_store import Batches, is_whole
from vitbench.engine.training_progress import steps_trained
from vitbench.errors import VitbenchError
from vitbench.kept_resamples import KeptResamples
from vitbench.models.checkpoint import load_backbone
from vitbench.models.manifest import parse_manifest
from vitbench.records import Record
from vitbench.reports.render import render
from vitbench.reports.table import build_table
from vitbench.training.metric_log import read_metrics
from vitbench.training.snapshot import load_snapshot
from vitbench_protocols.davis.result_folder import result_folder
from vitbench_protocols.detection.results import read_results
from vitbench_protocols.detection.truth import Truth


@dataclass(frozen=True, slots=True)
class Reader:
    """One kind of files: who writes honest ones, who reads them, which of them are damaged."""

    name: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    files: str = "**/*"  # that are damaged
    own: bool = False  # a cache of ours, which is made again and never refused


def _load_run_folder(root: Path) -> None:
    load_backbone(resolve(str(root), arch=ARCH))
    steps_trained(root / "metrics.jsonl")
    read_metrics(root)


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


def _images(root: Path) -> None:
    dataset = open_classification(root, "val")
    broken = [found for n in range(len(dataset)) if (found := refusal(lambda: dataset.encoded(n)))]  # noqa: B023
    if broken:
        raise broken[0]
    for index in range(len(dataset)):
        dataset[index]


def _read_shards(root: Path) -> None:
    shards = open_shards(str(root))
    for url in shards.urls:
        list(read_shard(url))


def _retrieval(root: Path) -> None:
    dataset: Any = open_dataset(str(root), "retrieval", "queries")
    for index in range(len(dataset)):
        dataset[index]


def _selected(root: Path) -> None:
    dataset = open_classification(root / "data", "train")
    selection(None, [str(root / "list.txt")], ("train",)).of(dataset)


def _read_manifests(root: Path) -> None:
    for path in root.iterdir():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:  # an installed package's own file
            return
        parse_manifest(text, name=path.stem)


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


def _unpacked(root: Path) -> None:
    with result_folder(root / "masks.zip", ["duo", "solo"]) as folder:
        assert (folder / "duo").is_dir()
    assert {path.name for path in root.iterdir()} == {"masks.zip"}


SIZES = {1: (20, 30), 2: (20, 30)}


def _read_results(root: Path) -> None:
    from vitbench_protocols.detection.results import box_of, runs_of

    truth = Truth.__new__(Truth)
    for name, value in (("name", "x"), ("sizes", SIZES), ("categories", {2: "cat"})):
        object.__setattr__(truth, name, value)
    for one in read_results(root / "results.json", truth):
        box_of(one, truth)
        if one.segmentation:
            runs_of(one, truth)


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
        kept_verdict._recalled(root / "gate" / "x.json")


READERS = (
    Reader("weights", honest.weights, _load),
    Reader("legacy weights", honest.legacy_weights, _load),
    Reader("safetensors", honest.safetensors, _load),
    Reader("run folder", honest.run_folder, _load_run_folder),
    Reader("snapshot", honest.snapshot, _load_snapshot),
    Reader("instances", write_coco, _instances, "annotations/*"),
    Reader("index maps", write_maps, _all_items("semantic", "val"), "[ac]*/**/*"),
    Reader("clips", write_davis, _all_items("clips", "val")),
    Reader("folders", honest.folders, _images),
    Reader("flat split", honest.flat_split, _images),
    Reader("training shards", honest.shards, _read_shards),
    Reader("labeled shards", honest.labeled_shards, _images),
    Reader("tables", honest.tables, _images),
    Reader("VOC objects", write_voc, _all_items("instances", "trainval")),
    Reader("retrieval", write_retrieval, _retrieval, "*.json"),
    Reader("retrieval pickle", honest.retrieval_pickle, _retrieval, "*.pkl"),
    Reader("pairs", write_pairs, _all_items("pairs", "test"), "**/*.json"),
    Reader("split list", honest.split_list, _selected, "list.txt"),
    Reader("manifest", honest.manifests, _read_manifests),
    Reader("records", honest.records, _report),
    Reader("zipped masks", honest.zipped_masks, _unpacked),
    Reader("results", honest.results, _read_results),
    Reader("cache", honest.cache, _read_cache, own=True),
)
