"""Long commands made short: each trains or scores something in about a second, to be stopped."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.cli.test_train import SMALL as TRAINING
from tests.protocols.adjacency.test_runs import SMALL as ADJACENCY
from tests.protocols.detection.conftest import write_coco
from tests.protocols.detection.test_interrupted import PROTOCOL as DETECTION
from tests.protocols.segmentation.conftest import write_maps
from tests.protocols.segmentation.test_interrupted import METHODS
from tests.tiny_clips import write_davis
from vitbench.api import RunOptions, evaluate, from_preset, resolve
from vitbench.cli.main import main
from vitbench.errors import VitbenchError
from vitbench_protocols.adjacency import Adjacency
from vitbench_protocols.davis import Davis
from vitbench_protocols.knn import Knn
from vitbench_protocols.linear_probe import LinearProbe
from vitbench_protocols.segmentation import Segmentation
from vitbench_protocols.segmentation.settings import Inference

MINI = "random:vit_mini_patch8_64"
RECIPES = ("dino", "selfpatch", "esvit", "moby", "moby-selfpatch")
BOARD = "tensorboard"
TIMES = frozenset(
    {"cost", "started_at", "command", "environment", "notes"}
)  # no two runs have them equal
KNN = Knn(resize=32, crop=32, engine="torch")


@dataclass(frozen=True, slots=True)
class Data:
    """Small data of every kind."""

    root: Path

    @classmethod
    def write(cls, root: Path) -> "Data":
        """Write them."""
        generator = np.random.default_rng(0)
        from PIL import Image

        for split, count in (("train", 8), ("val", 4)):
            for number, name in enumerate(("blue", "green", "red")):
                (root / "folders" / split / name).mkdir(parents=True)
                for index in range(count):
                    pixels = generator.integers(0, 120, (40, 48, 3), dtype=np.uint8)
                    pixels[..., 2 - number] += 100
                    Image.fromarray(pixels).save(root / "folders" / split / name / f"{index}.png")
        write_davis(root / "davis")
        write_coco(root / "coco")
        write_maps(root / "maps")
        return cls(root)


Work = Callable[[Data, Path], object]  # what is done, with which data, in which folder


def _scored(protocol: Any, data: str, checkpoint: str | None = MINI) -> Work:
    def work(given: Data, folder: Path) -> None:
        options = RunOptions(
            data=str(given.root / data), results=folder / "results", device="cpu", workers=1
        )
        evaluate(protocol, checkpoint and resolve(checkpoint), options)

    return work


def _trained(recipe: str) -> Work:
    def work(given: Data, folder: Path) -> None:
        own = ["--epochs", "2", "--data", str(given.root / "folders"), "--out", str(folder / "run")]
        code = main(["train", recipe, *TRAINING, *own])
        if code == 2:
            raise VitbenchError("told already")
        if code:
            raise SystemExit(code)

    return work


def _swept(given: Data, folder: Path) -> None:
    """Do the cells of a sweep, as each of its processes does."""
    checkpoints, columns = (MINI, f"{MINI}?seed=1"), ("knn", "retrieval@classes")
    cells = [f"{checkpoint}/{column}" for checkpoint in checkpoints for column in columns]
    data, results = str(given.root / "folders"), str(folder / "results")
    words = [*checkpoints, "--on", *columns, "--data", data, "--results", results]
    code = main(["sweep", "run", *words, "--device", "cpu", "--cell", *cells])
    if code:
        raise SystemExit(code)


def _segmented(method: str) -> Work:
    protocol = Segmentation(method=METHODS[method], inference=Inference(short=48, long=256))
    return _scored(protocol, "maps")


def jobs() -> Mapping[str, Work]:
    """Return every job by its name."""
    probe: dict[str, Any] = {"resize": 32, "crop": 32, "epochs": 3, "batch_size": 8}
    found: dict[str, Work] = {
        "knn": _scored(KNN, "folders"),
        "linear probe": _scored(LinearProbe(**probe, crop_scale=(0.5, 1.0)), "folders"),
        "linear probe, sweep": _scored(from_preset(LinearProbe, "sweep", **probe), "folders"),
        "davis": _scored(Davis(resolution=48, radius=3), "davis"),
        "adjacency": _scored(Adjacency(**ADJACENCY), "coco", None),
        "segmentation, knn": _segmented("knn"),
        "segmentation, linear": _segmented("linear"),
        "segmentation, fine-tuned": _segmented("fine-tuning"),
        "detection": _scored(replace(DETECTION, learning=replace(DETECTION.learning, epochs=1)),
                             "coco"),
        "sweep": _swept,
    }  # fmt: skip
    return found | {f"train {recipe}": _trained(recipe) for recipe in RECIPES}


def report(folder: Path) -> None:
    """Write the page of a folder with records."""
    out = folder / "page.html"
    words = ["report", "--results", str(folder / "results"), "--format", "html", "--out", str(out)]
    if main(words) not in (0, 2):
        raise SystemExit(1)


def outcome(folder: Path) -> dict[str, str]:
    """Return what a job has made, without times: file, of a document each key, -> digest."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in {"log", "page.html"} and ".cells" not in path.parts:
            for key, content in _contents(path):
                name = f"{path.relative_to(folder).as_posix()} {key}".rstrip()
                found[name] = hashlib.sha256(content).hexdigest()
    return found


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what two equal runs have equal in a file."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in sorted(arrays):
                yield name, arrays[name].tobytes()
    elif path.suffix == ".json" and path.name != "run.json":
        document = json.loads(path.read_text())
        if not isinstance(document, dict):
            document = {"": document}
        if document.get("status") == "failed":  # of a run that found no room
            return
        for key, value in document.items():
            if key not in TIMES:
                yield key, json.dumps(value, sort_keys=True).encode()
    # logs, plots and snapshots hold times; of a training the backbone is compared
    elif path.suffix not in {".pt", ".svg", ".jsonl", ".json"} and path.parent.name != BOARD:
        yield "", path.read_bytes()


def tiny_records(root: Path) -> None:
    """Write honest records: two runs of k-NN with items and tables."""
    data = Data.write(root.parent / "data")
    for seed in (0, 1):
        work = _scored(KNN, "folders", f"{MINI}?seed={seed}")
        work(data, root.parent)
    shutil.rmtree(data.root)
    for path in (root.parent / "results").iterdir():
        shutil.move(path, root / path.name)
