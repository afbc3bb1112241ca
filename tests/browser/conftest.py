"""A results folder as two checkpoints would leave it, with pictures, tables, curves and a rogue."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vitbench.records import (
    Cost,
    DatasetInfo,
    Environment,
    ProtocolRef,
    Record,
    RecordedScore,
    Subject,
    stem,
    write_record,
)

ROGUE = "<img src=x onerror=alert(1)>\x1b[31m=cmd()"
CLIPS = ("bmx-trees", "camel", "dance-twirl", "horsejump-high", "kite-surf", "soapbox")
WNIDS = ("n01440764", "n02102040", "n02979186")
SKILL = {"small-selfpatch": 8.0, "small-dino": 0.0, "supervised-ti": 14.0, "random-ti": -30.0}
METHOD = {"small-selfpatch": "selfpatch", "small-dino": "dino", "random-ti": "random"}
ENVIRONMENT = Environment(
    vitbench="0.1.0",
    python="3.11",
    platform="Linux",
    packages={"torch": "2.13.0", "timm": "1.0.31"},
    device="cpu",
    precision="fp32",
    processes=1,
    git_commit="0123456789abcdef",
    git_dirty=False,
)


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the records of four checkpoints on three protocols, and a rogue's."""
    folder = tmp_path_factory.mktemp("results")
    make_results(folder)
    return folder


def make_results(folder: Path) -> None:
    """Write the records, their items and their artifacts."""
    for number, name in enumerate(SKILL):
        _knn(folder, name, number)
        _davis(folder, name, number)
        _probe(folder, name, number)
        _profile(folder, name, number)
    rogue = _record(ROGUE, 9, "knn", _images(), {"top1_k20": np.zeros(400)}, "rogue")
    write_record(replace(rogue, notes=(ROGUE,), command=ROGUE), folder)
    (folder / "knn" / "broken.json").write_text("{")


def _images() -> DatasetInfo:
    return DatasetInfo(
        name="shapes", split="val", kind="classification", items=400, fingerprint="ab12" * 16
    )


def _knn(folder: Path, name: str, number: int) -> None:
    generator = np.random.default_rng(5)
    hard = generator.normal(size=400)
    ids = np.array([f"{WNIDS[n % 3]}/{n:04d}.png" for n in range(400)])
    items = {}
    for k in (10, 20, 100, 200):
        right = hard + SKILL[name] / 20 + np.random.default_rng(number).normal(0, 0.3, 400) > -1
        items[f"top1_k{k}"] = 100.0 * right
    record = _record(name, number, "knn", _images(), items, "top-1")
    write_record(record, folder, {"ids": ids, **items})


def _davis(folder: Path, name: str, number: int) -> None:
    clips = DatasetInfo(name="davis", split="val", kind="clips", items=6, fingerprint="cd34" * 16)
    values = (
        np.linspace(35, 70, 6) + SKILL[name] / 2 + np.random.default_rng(number).normal(0, 1, 6)
    )
    items = {"jf_mean": values, "j_mean": values - 2, "f_mean": values + 2}
    record = _record(name, number, "davis", clips, items, "J&F")
    home = folder / "davis" / f"{name}.{record.id[:8]}"
    home.mkdir(parents=True)
    artifacts = {}
    for clip, value in zip(CLIPS, values, strict=True):
        for step, frame in enumerate((10, 20, 30)):
            for what, miss in (("overlay", 100 - value), ("truth", 0.0)):
                path = home / f"{clip}-{frame}-{what}.jpg"
                _picture(path, miss, step, f"run {number}" if miss else "truth")
                artifacts[f"{what} {clip} frame {frame}"] = f"{home.name}/{path.name}"
    (home / "objects.csv").write_text(
        "clip,object,j_mean\n"
        + "".join(f"{clip},1,{v:.2f}\n" for clip, v in zip(CLIPS, values, strict=True))
    )
    (home / "frames.csv").write_text(
        "clip,frame,j,f\n"
        + "".join(
            f"{clip},{n},{v - n / 4:.1f},{v - n / 3:.1f}\n"
            for clip, v in zip(CLIPS, values, strict=True)
            for n in range(1, 40)
        )
    )
    artifacts |= {name: f"{home.name}/{name}.csv" for name in ("objects", "frames")}
    arrays = {"ids": np.array(CLIPS), "weights": np.array([1, 1, 2, 1, 3, 1]), **items}
    write_record(replace(record, artifacts=artifacts), folder, arrays)


def _probe(folder: Path, name: str, number: int) -> None:
    record = _record(name, number, "linear-probe", _images(), {"top1": np.zeros(1)}, "top-1")
    home = folder / "linear-probe" / f"{name}.{record.id[:8]}"
    home.mkdir(parents=True)
    rows = [
        {"epoch": epoch, "loss": 2.3 / (1 + epoch / (3 + number)), "top1": 10 + 4 * epoch**0.8}
        for epoch in range(1, 31)
    ]
    (home / "journal.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"cut')
    score = replace(record.scores[0], value=70.0 + SKILL[name], low=None, high=None)
    artifacts = {"training": f"{home.name}/journal.jsonl"}
    write_record(replace(record, scores=(score,), items="", artifacts=artifacts), folder)


def _profile(folder: Path, name: str, number: int) -> None:
    data = DatasetInfo(name="synthetic", split="val", kind="classification", items=64)
    record = _record(name, number, "profile", data, {"top1": np.zeros(1)}, "")
    costs = {"images_per_second": 400.0 / (number + 1), "flops": 1.2 * (number + 1)}
    scores = tuple(
        replace(record.scores[0], metric=key, label=key, value=value, unit="", low=None, high=None,
                primary=key == "images_per_second", higher_is_better=key != "flops")
        for key, value in costs.items()
    )  # fmt: skip
    write_record(replace(record, scores=scores, items=""), folder)


def _record(
    name: str,
    number: int,
    protocol: str,
    data: DatasetInfo,
    items: Mapping[str, NDArray[Any]],
    label: str,
) -> Record:
    record = Record(
        id=sha256(f"{protocol} {name}".encode()).hexdigest(),
        status="ok",
        subject=Subject(
            kind="checkpoint",
            name=name,
            sha256=f"{number:x}" * 64,
            method=METHOD.get(name, ""),
            arch="vit_tiny_patch16_224 (3 heads)",
            position_rule="dino",
            gate="150 of 150 keys used",
        ),
        protocol=ProtocolRef(
            name=protocol,
            version=1,
            spec_id=f"{protocol}-spec",
            preset="dino" if protocol == "knn" else "",
            settings={"k": 20, "temperature": 0.07},
        ),
        dataset=data,
        seed=0,
        scores=tuple(_score(metric, values, label) for metric, values in items.items()),
        environment=ENVIRONMENT,
        cost=Cost(seconds=20.0 * 3 ** (number % 9), images=400, images_per_second=87.5),
        started_at="2026-11-02T10:00:00+00:00",
        command=f"vitbench eval {protocol} runs/{name} --data shapes",
    )
    return replace(record, items=f"{stem(record)}.items.npz" if name in SKILL else "")


def _score(metric: str, values: NDArray[Any], label: str) -> RecordedScore:
    return RecordedScore(
        metric=metric,
        label=f"{label} {metric}" if metric[-1].isdigit() else metric.replace("_mean", "").upper(),
        value=float(values.mean()),
        unit="%",
        higher_is_better=True,
        primary=metric in {"top1_k20", "jf_mean", "top1"},
        items=len(values),
        low=float(values.mean()) - 3.1,
        high=float(values.mean()) + 2.9,
    )


def _picture(path: Path, missed: float, step: int, text: str) -> None:
    """Draw a field with an object, and a mask that misses it by so much."""
    image = Image.new("RGB", (854, 480), (96, 130, 90))
    pen = ImageDraw.Draw(image, "RGBA")
    for line in range(0, 480, 24):
        pen.line([(0, line), (854, line + 60)], fill=(80, 112, 76, 255), width=6)
    x, miss = 150 + 180 * step, missed * 1.6
    pen.ellipse([x, 130, x + 240, 370], fill=(215, 178, 120, 255))
    pen.ellipse([x + miss, 130, x + 240, 370 - miss], fill=(200, 40, 60, 120), outline="white")
    pen.text((12, 12), text, fill="white")
    image.save(path, quality=88)


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 10,000 records."""
    folder = tmp_path_factory.mktemp("crowd")
    for number in range(10_000):
        values = {"top1_k20": np.array([number / 20])}
        write_record(_record(f"run-{number}", number, "knn", _images(), values, "top-1"), folder)
    return folder


@pytest.fixture(scope="session")
def many_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with three runs on 5,000 images."""
    folder = tmp_path_factory.mktemp("many")
    data = replace(_images(), items=5000)
    ids = np.array([f"{WNIDS[n % 3]}/{n:05d}.png" for n in range(5000)])
    for number in range(3):
        right = 100.0 * (np.random.default_rng(number).random(5000) < 0.7 + 0.05 * number)
        record = _record(f"run-{number}", number, "knn", data, {"top1_k20": right}, "top-1")
        record = replace(record, items=f"{stem(record)}.items.npz")
        write_record(record, folder, {"ids": ids, "top1_k20": right})
    return folder


@pytest.fixture(scope="session")
def page(results: Path) -> Path:
    """Return the report of the folder as an HTML file."""
    from vitbench.cli.report import run

    path = results.parent / "report.html"
    arguments = ["--results", str(results), "--compare", *SKILL, "dino", "selfpatch"]
    assert run([*arguments, "--format", "html", "--out", str(path)]) == 0
    return path
