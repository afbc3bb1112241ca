"""Classified images in shards and in Parquet files: the same images as in folders."""

import io
import json
import pickle
import sys
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from vitbench.data.classification import open_classification
from vitbench.data.content import Digests, fingerprint, images_fingerprint
from vitbench.data.dataset import Reader, open_dataset
from vitbench.engine.evaluate import evaluate
from vitbench.engine.options import RunOptions
from vitbench.engine.presets import from_preset
from vitbench.engine.protocol import protocols
from vitbench.errors import DatasetError, DatasetNotFound, MissingDependency
from vitbench.models.checkpoint import resolve
from vitbench.testing.reader_checks import check_reader

NAMES = ("ant", "bee", "cow")
COUNTS = {"train": 6, "val": 4}

Picture = tuple[str, int, bytes]  # class, number, JPEG


def pictures(split: str) -> list[Picture]:
    found = []
    for number in range(COUNTS[split]):
        for kind, name in enumerate(NAMES):
            draws = np.random.default_rng((len(split), kind, number))
            pixels = draws.integers(0, 256, (32, 32, 3)) // 4 + 60 * kind
            stream = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(stream, "JPEG")
            found.append((name, number, stream.getvalue()))
    return found


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def shard(
    path: Path, entries: Sequence[Picture], label: Callable[[str], tuple[str, str] | None]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, number, data in entries:
            add(tar, f"{name}{number}.jpg", data)
            said = label(name)
            if said:
                add(tar, f"{name}{number}.{said[0]}", said[1].encode())
            add(tar, f"{name}{number}.seg.png", b"a mask, no image of the set")


def by_number(name: str) -> tuple[str, str]:
    return "cls", str(NAMES.index(name))


def by_name(name: str) -> tuple[str, str]:
    return "cls", f"{name}\n"


def in_json(name: str) -> tuple[str, str]:
    return "json", json.dumps({"caption": "a picture", "label": NAMES.index(name)})


def folders(root: Path) -> Path:
    for split in COUNTS:
        for name, number, data in pictures(split):
            path = root / split / name / f"{number}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return root


def shards(root: Path, label: Any = by_number, pattern: str = "{split}-{part:03}.tar") -> Path:
    for split in COUNTS:
        entries = pictures(split)
        for part in range(2):
            half = entries[part::2]
            shard(root / pattern.format(split=split, part=part), half, label)
    return root


def table(path: Path, entries: Sequence[Picture], *, names: bool = True, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = [{"bytes": data, "path": f"{name}{number}.jpg"} for name, number, data in entries]
    label = [NAMES.index(name) for name, _, _ in entries]
    made = pyarrow.table({"image": image, "label": label} | columns)
    if names:
        features = {"label": {"names": list(NAMES), "_type": "ClassLabel"}}
        said = {"huggingface": json.dumps({"info": {"features": features}})}
        made = made.replace_schema_metadata(said)
    pyarrow.parquet.write_table(made, path, row_group_size=5)


def tables(root: Path, pattern: str = "data/{split}-0000{part}-of-00002.parquet") -> Path:
    for split, name in (("train", "train"), ("val", "validation")):
        entries = pictures(split)
        half = len(entries) // 2
        for part, some in enumerate((entries[:half], entries[half:])):
            table(root / pattern.format(split=name, part=part), some)
    return root


def content(root: Path, split: str) -> list[tuple[int, bytes]]:
    dataset = open_classification(root, split)
    return sorted((dataset.targets[n], dataset.encoded(n)[1]) for n in range(len(dataset)))


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "shards": shards,
    "shards of names": lambda root: shards(root, by_name),
    "shards with json": lambda root: shards(root, in_json),
    "shards in folders": lambda root: shards(root, pattern="{split}/x{part}.tar"),
    "shards of timm": lambda root: shards(root, pattern="imagenet-{split}-{part:04}.tar"),
    "parquet": tables,
    "parquet of a configuration": lambda root: tables(root, "plain_text/{split}-{part}.parquet"),
    "parquet in folders": lambda root: tables(root, "{split}/{part}.parquet"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_images_and_classes_are_those_of_the_folders(tmp_path: Path, layout: str) -> None:
    root = LAYOUTS[layout](tmp_path / "stored")
    plain = folders(tmp_path / "folders")
    for split in COUNTS:
        assert content(root, split) == content(plain, split)
        dataset = open_classification(root, split)
        assert (dataset.info.classes, dataset.info.items) == (3, 3 * COUNTS[split])
        sample = pickle.loads(pickle.dumps(dataset))[4]
        assert (sample.id, sample.target) == (dataset.ids[4], dataset.targets[4])
        expected = Image.open(io.BytesIO(dataset.encoded(4)[1])).convert("RGB")
        assert np.abs(np.asarray(sample.image, int) - np.asarray(expected, int)).max() <= 1


@pytest.mark.parametrize("layout", ["shards", "parquet"])
def test_the_score_is_that_of_the_folders(tmp_path: Path, layout: str) -> None:
    scores = []
    for root in (folders(tmp_path / "folders"), LAYOUTS[layout](tmp_path / "stored")):
        knn = from_preset(protocols.get("knn"), None, resize=32, crop=32)
        checkpoint = resolve("random:vit_mini_patch8_64")
        options = RunOptions(data=str(root), results=tmp_path / "results", device="cpu")
        record = evaluate(knn, checkpoint, options).record
        scores.append([(score.metric, score.value) for score in record.scores])
    assert scores[0] == scores[1]


@pytest.mark.parametrize("layout", ["shards", "parquet"])
def test_the_content_of_the_files_is_what_they_are_known_by(tmp_path: Path, layout: str) -> None:
    root = LAYOUTS[layout](tmp_path)

    def marks() -> tuple[str, str]:
        dataset, digests = open_classification(root, "val"), Digests(root)
        return fingerprint(dataset, digests, pixels=True), images_fingerprint(dataset, digests)

    before = marks()
    (file,) = {*open_classification(root, "val").image_files(0)}
    if layout == "shards":
        shard(file, pictures("val")[::2], in_json)
    else:
        table(file, pictures("train")[:6])
    assert all(one != other for one, other in zip(before, marks(), strict=True))


@pytest.mark.parametrize("layout", ["shards", "parquet"])
def test_the_reader_passes_its_checks_on_them(tmp_path: Path, layout: str) -> None:
    root = LAYOUTS[layout](tmp_path)
    reader = Reader(open_classification)
    found = check_reader("classification", reader, data=str(root))
    assert [one for one in found if not one.passed] == []


def test_classes_of_shards_are_named_by_a_file_beside_them(tmp_path: Path) -> None:
    root = shards(tmp_path)
    assert open_classification(root, "val").class_names == ("0", "1", "2")
    (root / "classes.txt").write_text("ant\nbee\ncow\n")
    assert open_classification(root, "val").class_names == NAMES
    (root / "classes.txt").write_text("ant\nbee\n")
    with pytest.raises(DatasetError, match="labels above the number of classes"):
        open_classification(root, "val")


def test_classes_of_val_are_numbered_as_in_train(tmp_path: Path) -> None:
    shard(tmp_path / "train-0.tar", pictures("train"), by_name)
    shard(tmp_path / "val-0.tar", [one for one in pictures("val") if one[0] != "ant"], by_name)
    val = open_classification(tmp_path, "val")
    assert (val.class_names, sorted(set(val.targets))) == (NAMES, [1, 2])
    shard(tmp_path / "train-0.tar", [one for one in pictures("train") if one[0] != "cow"], by_name)
    with pytest.raises(DatasetError, match="classes that 'train' lacks: cow"):
        open_classification(tmp_path, "val")


def test_class_folders_win_over_shards_that_lie_beside_or_among_them(tmp_path: Path) -> None:
    root = folders(tmp_path)
    shard(root / "ILSVRC2012_img_val.tar", pictures("val"), lambda _: None)
    shard(root / "train" / "n01.tar", pictures("train"), lambda _: None)
    assert open_classification(root, "val").ids[0] == "val/ant/0.jpg"
    assert open_classification(root, "train").ids[0] == "train/ant/0.jpg"


def test_shards_without_labels_are_refused(tmp_path: Path) -> None:
    shard(tmp_path / "val-0.tar", pictures("val"), lambda _: None)
    with pytest.raises(DatasetError, match="12 images of .* have no label"):  # noqa: RUF043
        open_classification(tmp_path, "val")


@pytest.mark.parametrize(
    "break_it",
    [
        lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
        lambda file: file.write_bytes(b"\x01" * 2000),
        lambda file: shard(file, pictures("val"), lambda _: ("json", "{")),
        lambda file: shard(file, pictures("val"), lambda _: ("json", "[1]")),
    ],
)
def test_a_damaged_shard_is_named(tmp_path: Path, break_it: Callable[[Path], Any]) -> None:
    file = shards(tmp_path) / "val-001.tar"
    break_it(file)
    with pytest.raises(DatasetError, match=r"val-001\.tar"):
        open_classification(tmp_path, "val")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_table_is_named(tmp_path: Path, content: bytes) -> None:
    file = tables(tmp_path) / "data" / "validation-00001-of-00002.parquet"
    file.write_bytes(content)
    with pytest.raises(DatasetError, match="validation-00001-of-00002"):
        open_classification(tmp_path, "val")


def test_a_table_of_something_else_is_told_with_its_columns(tmp_path: Path) -> None:
    made = pyarrow.table({"text": ["a"], "label": [1]})
    pyarrow.parquet.write_table(made, tmp_path / "val.parquet")
    with pytest.raises(DatasetError, match="no classified images") as found:
        open_classification(tmp_path, "val")
    assert found.value.found == "the columns text, label"


def test_a_hidden_test_split_has_no_labels_and_is_refused(tmp_path: Path) -> None:
    table(tmp_path / "val.parquet", pictures("val"), label=[-1] * 12)
    with pytest.raises(DatasetError, match="have no label"):
        open_classification(tmp_path, "val")


def test_two_configurations_are_told_apart_by_the_user(tmp_path: Path) -> None:
    tables(tmp_path, "full/{split}-{part}.parquet")
    tables(tmp_path, "small/{split}-{part}.parquet")
    with pytest.raises(DatasetError, match="several data sets") as found:
        open_classification(tmp_path, "val")
    assert len(open_classification(Path(found.value.hint.partition(" ")[2]), "val")) == 12


def test_an_image_that_is_not_embedded_is_named(tmp_path: Path) -> None:
    image = [{"bytes": None, "path": "x.jpg"}]
    made = pyarrow.table({"image": pyarrow.array(image), "label": [0]})
    made = made.set_column(
        0,
        "image",
        pyarrow.array(
            image, pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
        ),
    )
    pyarrow.parquet.write_table(made, tmp_path / "val.parquet")
    with pytest.raises(DatasetError, match=r"val\.parquet: row 0 of group 0"):
        open_classification(tmp_path, "val")[0]


def test_a_missing_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tables(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependency, match=r"vitbench\[parquet\]"):
        open_classification(root, "val")


def test_a_folder_of_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="has no 'val' split"):
        open_dataset(str(tmp_path), "classification", "val")
