"""Datasets as protocols see them: what is on disk, untransformed, one item at a time."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from PIL import Image

from vitbench.errors import BadPlugin, DatasetNotFound
from vitbench.records import DataKind, DatasetInfo
from vitbench.registry import Claim, Registry

T = TypeVar("T")
ItemT = TypeVar("ItemT", covariant=True)

DATA_VARIABLE = "VITBENCH_DATA"
SYNTHETIC = "synthetic"
SPLITS = ("train", "val")


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """One image and what is known of it."""

    id: str  # equal on every machine: a relative path or an annotation's id
    image: Image.Image  # RGB, untransformed
    target: T  # a class index, instances, an index map, …


class Dataset(Protocol[ItemT]):
    """A sequence of items that says what it is. Items are read when they are asked for."""

    @property
    def info(self) -> DatasetInfo:
        """Name, split, size and fingerprint."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> ItemT: ...


Reader = Callable[[Path, str], Dataset[Any]]  # (root, split) -> dataset


def _check_reader(found: object, claim: Claim) -> Reader:
    if not callable(found):
        raise BadPlugin(f"reader {claim.name!r} of {claim.distribution!r} is no function.")
    return found


READERS = {
    "classification": "vitbench.data.folders:open_folders",
}
readers: Registry[Reader] = Registry("kind of data", "vitbench.readers", _check_reader)


def open_dataset(
    name: str, kind: DataKind, split: str, *, limit: int | None = None
) -> Dataset[Any]:
    """Open one split of a dataset.

    Args:
        name: A path, `synthetic`, or the name of a folder under `$VITBENCH_DATA`.
        kind: What the protocol reads: classification, instances, semantic or clips.
        split: `train` or `val`.
        limit: Only the first `limit` items; changes the fingerprint.

    Raises:
        DatasetNotFound: Nothing is there.
        DatasetError: What is there is not of this kind, or broken.
    """
    dataset = readers.get(kind)(find_root(name), split)
    return dataset if limit is None else FirstItems(dataset, limit)


def find_root(name: str) -> Path:
    """Return the folder that a dataset's name or path stands for.

    Raises:
        DatasetNotFound: There is no such folder.
    """
    base = os.environ.get(DATA_VARIABLE)
    for candidate in (Path(name), *([Path(base) / name] if base else [])):
        if candidate.is_dir():
            return candidate.resolve()
    raise DatasetNotFound(
        f"no data at {name!r}.",
        expected=f"a folder, {SYNTHETIC!r}, or the name of a folder under ${DATA_VARIABLE}",
        found=_found(Path(name), base),
        hint=f"--data PATH, or export {DATA_VARIABLE}=PATH",
    )


def _found(path: Path, base: str | None) -> str:
    if path.exists():
        return "a file, not a folder"
    if not base:
        return f"no such folder, and {DATA_VARIABLE} is not set"
    if not Path(base).is_dir():
        return f"no such folder, and {DATA_VARIABLE} is {base!r}, which is no folder"
    names = sorted(entry.name for entry in Path(base).iterdir() if entry.is_dir())
    return f"{DATA_VARIABLE} holds {', '.join(names) or 'no folders'}"


class FirstItems(Generic[T]):
    """The first items of a dataset; another fingerprint, because another set."""

    def __init__(self, dataset: Dataset[T], limit: int) -> None:
        self._dataset = dataset
        items = min(limit, len(dataset))
        mark = hashlib.sha256(f"{dataset.info.fingerprint}[:{items}]".encode()).hexdigest()
        whole = items == len(dataset)
        self.info = dataset.info if whole else replace(dataset.info, items=items, fingerprint=mark)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return self.info.items

    def __getitem__(self, index: int) -> T:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._dataset[index]


def fingerprint(entries: Iterable[tuple[str, int]]) -> str:
    """Hash a dataset by its sorted (id, size in bytes) list (sha256, hexadecimal)."""
    digest = hashlib.sha256()
    for name, size in sorted(entries):
        digest.update(f"{name}\0{size}\n".encode())
    return digest.hexdigest()


def ids(dataset: Dataset[Any]) -> Sequence[str]:
    """Return the ids of all items without reading the items."""
    found: Sequence[str] = dataset.ids  # type: ignore[attr-defined]
    return found[: len(dataset)]
