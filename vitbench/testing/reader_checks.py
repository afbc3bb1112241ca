"""Checks that every reader of a kind of data must pass, bundled or not, on data that it writes."""

import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from vitbench.data.content import Digests, fingerprint
from vitbench.data.dataset import Reader, find_root
from vitbench.data.kinds import Dataset, ImageDataset
from vitbench.data.synthetic import synthetic_folder
from vitbench.errors import listed
from vitbench.testing.finding import Finding

LOOKED_AT = 4  # items at either end of a split that are read


def check_reader(name: str, reader: Reader, *, data: str = "") -> Iterator[Finding]:
    """Check the reader of a kind of data.

    Args:
        name: The kind, as the reader is registered.
        reader: The reader.
        data: A small dataset, which is left as it is: a path, or a name under `$VITBENCH_DATA`;
            empty: what the reader writes itself, whose files are then changed one by one.

    Yields:
        One finding a check, as soon as it is known.
    """
    with tempfile.TemporaryDirectory(prefix="vitbench-check-") as folder:
        root = find_root(data) if data else Path(folder)
        if not data:
            problem = _written(name, reader, root)
            yield Finding("has data to show: Reader(write_demo=…), or --data DATA", problem)
            if problem:
                return
        for split in reader.splits:
            try:
                dataset, again = reader.open(root, split), reader.open(root, split)
            except Exception as error:  # whatever it is, it is the finding
                yield Finding(f"{split}: opens", f"{type(error).__name__}: {error}")
                continue
            lacking = [member for member in _MEMBERS if not hasattr(dataset, member)]
            yield Finding(
                f"{split}: opens as a Dataset",
                f"{type(dataset).__name__} lacks {', '.join(lacking)}" if lacking else "",
            )
            if lacking:
                continue
            for text, check in _CHECKS.items():
                yield Finding(f"{split}: {text}", _caught(partial(check, name, dataset, again)))
            if not data:
                text = "the content of its files counts"
                yield Finding(f"{split}: {text}", _caught(partial(_unnoticed, root, dataset)))


def _written(kind: str, reader: Reader, root: Path) -> str:
    """Write the small data of a reader, or say why it can't be."""
    try:
        if reader.write_demo is not None:
            reader.write_demo(root)
        else:
            shutil.copytree(synthetic_folder(kind), root, dirs_exist_ok=True)
    except Exception as error:  # whatever it is, it is the finding
        return f"{type(error).__name__}: {error}"
    return ""


def _caught(check: Callable[[], str]) -> str:
    try:
        return check()
    except Exception as error:  # whatever it is, it is the finding
        return f"{type(error).__name__}: {error}"


def _described(kind: str, dataset: Dataset[Any], _: Dataset[Any]) -> str:
    info = dataset.info
    wrong = []
    if info.kind != kind:
        wrong.append(f"info.kind is {info.kind!r}, expected {kind!r}")
    if not info.item_noun:
        wrong.append("info.item_noun is empty: what are the items called?")
    if not info.items == len(dataset) == len(dataset.ids) > 0:
        wrong.append(f"{info.items} items, len {len(dataset)}, {len(dataset.ids)} ids")
    return "; ".join(wrong)


def _ids(_: str, dataset: Dataset[Any], again: Dataset[Any]) -> str:
    if list(dataset.ids) != list(again.ids):
        return "opened twice, the ids or their order differ"
    twice = sorted({name for name in dataset.ids if list(dataset.ids).count(name) > 1})
    if twice:
        return f"ids occur twice: {listed(twice)}"
    odd = [name for name in dataset.ids if not name or PurePosixPath(name).is_absolute()]
    return f"ids differ from machine to machine: {listed(odd)}" if odd else ""


def _files(_: str, dataset: Dataset[Any], __: Dataset[Any]) -> str:
    absent = [str(file) for file in _all_files(dataset) if not file.is_file()]
    if absent:
        return f"files are not there: {listed(absent)}"
    if dataset.info.fingerprint:
        return ""
    bare = [name for place, name in enumerate(dataset.ids) if not dataset.image_files(place)]
    return f"items without image_files, and info.fingerprint is empty: {listed(bare)}" * bool(bare)


def _items(_: str, dataset: Dataset[Any], __: Dataset[Any]) -> str:
    for place in {*range(min(LOOKED_AT, len(dataset))), len(dataset) - 1}:
        item = dataset[place]
        found = getattr(item, "id", dataset.ids[place])
        if found != dataset.ids[place]:
            return f"item {place} is {found!r}, its id {dataset.ids[place]!r}"
        if isinstance(dataset, ImageDataset):
            dataset.encoded(place)
    return ""


def _part(_: str, dataset: Dataset[Any], __: Dataset[Any]) -> str:
    """Check a part: its ids, its size, and whatever else a dataset keeps by item."""
    chosen = [len(dataset) - 1, 0] if len(dataset) > 1 else [0]
    part = dataset.subset(chosen)
    if list(part.ids) != [dataset.ids[place] for place in chosen] or len(part) != len(chosen):
        return f"subset({chosen}) has the ids {listed(list(part.ids))}"
    if (part.info.items, part.info.of_items) != (len(chosen), len(dataset)):
        return f"subset: {part.info.items} items of {part.info.of_items}; part_of makes its info"
    if part.image_files(0) != dataset.image_files(chosen[0]):
        return "subset: its files are those of other items"
    kept = [
        name
        for name in dir(dataset)
        if not name.startswith("_")
        and isinstance(value := getattr(dataset, name), Sequence)
        and not isinstance(value, str | bytes)
        and len(value) == len(dataset) != len(chosen)
        and name not in {"class_names", "shared_files", "notes"}
        and len(getattr(part, name)) != len(chosen)
    ]
    return f"subset: {listed(kept)} are still of all items" if kept else ""


def _sent(_: str, dataset: Dataset[Any], __: Dataset[Any]) -> str:
    same = list(pickle.loads(pickle.dumps(dataset)).ids) == list(dataset.ids)
    return "" if same else "it is another dataset after pickling"


def _unnoticed(root: Path, dataset: Dataset[Any]) -> str:
    """Change one file of each sort, and see whether the dataset is taken for another one."""

    def mark() -> str:
        return fingerprint(dataset, Digests(root), pixels=True)

    before = mark()
    sorts = (dataset.image_files(0), dataset.label_files(0), dataset.shared_files)
    for file in {files[0] for files in sorts if files}:
        with _changed(file):
            if mark() == before:
                return f"{file.relative_to(root)} was changed, and the fingerprint is the same"
    return "" if mark() == before else "the fingerprint of the same files differs"


@contextmanager
def _changed(file: Path) -> Iterator[None]:
    content = file.read_bytes()
    file.write_bytes(content + b"\0")
    try:
        yield
    finally:
        file.write_bytes(content)


def _all_files(dataset: Dataset[Any]) -> Iterator[Path]:
    yield from dataset.shared_files
    for place in range(len(dataset)):
        yield from dataset.image_files(place)
        yield from dataset.label_files(place)


_MEMBERS = (
    *("info", "ids", "notes", "class_names", "shared_files"),
    *("image_files", "label_files", "subset", "__len__", "__getitem__"),
)
_CHECKS: dict[str, Callable[[str, Dataset[Any], Dataset[Any]], str]] = {
    "says what it is": _described,
    "ids are unique, and equal everywhere": _ids,
    "files are there, and every item has some": _files,
    "items can be read": _items,
    "a part is made of whole items": _part,
    "goes to another process": _sent,
}
