"""Datasets as protocols see them: what is on disk, untransformed, one item at a time."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from PIL import Image

from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.data.synthetic import Progress, synthetic_folder
from vitbench.errors import BadPlugin, DatasetNotFound
from vitbench.records import DataKind, DatasetInfo
from vitbench.registry import Claim, Registry

T = TypeVar("T")
ItemT = TypeVar("ItemT", covariant=True)

DATA_VARIABLE = "VITBENCH_DATA"
PER_ITEM = ("targets", "files")  # lists of a dataset, one entry an item


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
        """Name, split and size."""

    @property
    def ids(self) -> Sequence[str]:
        """The id of every item; reads no item."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> ItemT: ...


Reader = Callable[[Path, str], Dataset[Any]]  # (root, split) -> dataset


def _check_reader(found: object, claim: Claim) -> Reader:
    if not callable(found):
        raise BadPlugin(f"reader {claim.name!r} of {claim.distribution!r} is no function.")
    return found


READERS = {
    "clips": "vitbench.data.davis:open_clips",
    "classification": "vitbench.data.folders:open_folders",
    "instances": "vitbench.data.coco:open_coco",
    "panoptic": "vitbench.data.panoptic:open_panoptic",
    "semantic": "vitbench.data.semantic:open_semantic",
}
readers: Registry[Reader] = Registry("kind of data", "vitbench.readers", _check_reader)


def open_dataset(
    name: str,
    kind: DataKind,
    split: str,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Dataset[Any]:
    """Open one split of a dataset.

    Args:
        name: A path, `synthetic`, or the name of a folder under `$VITBENCH_DATA`.
        kind: What the protocol reads: classification, instances, semantic or clips.
        split: `train` or `val`.
        limit: Only the first `limit` items; another set, so another fingerprint.
        progress: Told how far the built-in data is when it is made on its first use.

    Raises:
        DatasetNotFound: Nothing is there.
        DatasetError: What is there is not of this kind, or broken.
    """
    dataset = readers.get(kind)(data_root(name, kind, progress=progress), split)
    if limit is None or limit >= len(dataset):
        return dataset
    return Subset(dataset, range(limit))


def data_root(name: str, kind: DataKind, *, progress: Progress | None = None) -> Path:
    """Return the folder of a dataset; the built-in data is made on its first use.

    Raises:
        DatasetNotFound: There is no such folder.
    """
    return synthetic_folder(kind, progress=progress) if name == SYNTHETIC else find_root(name)


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


class Subset(Generic[T]):
    """Some items of a dataset, in the order given."""

    def __init__(self, dataset: Dataset[T], indices: Sequence[int]) -> None:
        self._dataset, self._indices = dataset, list(indices)
        self.ids = [dataset.ids[index] for index in self._indices]
        whole = dataset.info.of_items or dataset.info.items
        self.info = replace(dataset.info, items=len(self.ids), of_items=whole)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # a copy on its way to another process has no parts yet
            raise AttributeError(name)
        found = getattr(self._dataset, name)
        if name in PER_ITEM:
            return [found[index] for index in self._indices]
        return found

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> T:
        return self._dataset[self._indices[index]]

    def image_files(self, index: int) -> Sequence[Path]:
        """Return the files that the pixels of one item come from."""
        return self._dataset.image_files(self._indices[index])  # type: ignore[attr-defined,no-any-return]

    def label_files(self, index: int) -> Sequence[Path]:
        """Return the files that only the target of one item comes from."""
        return self._dataset.label_files(self._indices[index])  # type: ignore[attr-defined,no-any-return]

    def target(self, index: int) -> Any:
        """Return what is known of one item without reading its image, where the dataset can."""
        return self._dataset.target(self._indices[index])  # type: ignore[attr-defined]
