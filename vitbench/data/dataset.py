"""Open data by name: choose the reader of its kind, and find its folder."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, overload

from vitbench.data.clips import Clip
from vitbench.data.kinds import (
    ClassificationDataset,
    Dataset,
    IndexMapDataset,
    InstanceDataset,
)
from vitbench.data.named_sets import is_named_set, named_root
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.data.synthetic import Progress, synthetic_folder
from vitbench.errors import BadPlugin, DatasetNotFound
from vitbench.records import DataKind
from vitbench.registry import PluginEntry, Registry

DATA_VARIABLE = "VITBENCH_DATA"
READERS = {
    "clips": "vitbench.data.clip_reader:READER",
    "classification": "vitbench.data.classification:READER",
    "depth": "vitbench.data.depth:READER",
    "instances": "vitbench.data.objects:READER",
    "pairs": "vitbench.data.keypoint_pairs:READER",
    "panoptic": "vitbench.data.panoptic:READER",
    "retrieval": "vitbench.data.retrieval:READER",
    "semantic": "vitbench.data.semantic:READER",
}


@dataclass(frozen=True, slots=True)
class Reader:
    """How one kind of data is opened; the kind is the name that the reader is registered by.

    Errors of `open` are `DatasetNotFound` (nothing of this kind lies there) and `DatasetError`
    (it does, and is broken); both name the file.
    """

    open: Callable[[Path, str], Dataset[Any]]  # (folder, split) -> dataset
    write_demo: Callable[[Path], None] | None = None  # writes a small set, `--data synthetic`
    splits: tuple[str, ...] = ("train", "val")  # of the small set
    layout: tuple[str, ...] = ()  # folder layouts that can be read, one a line, for help


def _check_reader(found: object, entry: PluginEntry) -> Reader:
    if not isinstance(found, Reader):
        raise BadPlugin(
            f"reader {entry.name!r} of {entry.distribution!r} is no reader.",
            expected=f"{entry.target} to be a vitbench.api.Reader",
            found=type(found).__name__,
        )
    return found


readers: Registry[Reader] = Registry("kind of data", "vitbench.readers", _check_reader)


@overload
def open_dataset(
    name: str,
    kind: Literal["classification"],
    split: str,
    *,
    limit: int | None = ...,
    progress: Progress | None = ...,
) -> ClassificationDataset: ...
@overload
def open_dataset(
    name: str,
    kind: Literal["instances"],
    split: str,
    *,
    limit: int | None = ...,
    progress: Progress | None = ...,
) -> InstanceDataset: ...
@overload
def open_dataset(
    name: str,
    kind: Literal["semantic"],
    split: str,
    *,
    limit: int | None = ...,
    progress: Progress | None = ...,
) -> IndexMapDataset: ...
@overload
def open_dataset(
    name: str,
    kind: Literal["clips"],
    split: str,
    *,
    limit: int | None = ...,
    progress: Progress | None = ...,
) -> Dataset[Clip]: ...
@overload
def open_dataset(
    name: str,
    kind: DataKind,
    split: str,
    *,
    limit: int | None = ...,
    progress: Progress | None = ...,
) -> Dataset[Any]: ...
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
        name: A path, `synthetic`, the name of a folder under `$VITBENCH_DATA`, or that of a set
            of torchvision or of the Hugging Face Hub: `torchvision:CIFAR10`, `hf:OWNER/NAME`.
        kind: The name of a reader: classification, instances, semantic, clips, or a plug-in's.
        split: `train` or `val`.
        limit: Only the first `limit` items; another set, so another fingerprint.
        progress: Told how far the built-in data is when it is made on its first use.

    Raises:
        DatasetNotFound: Nothing is there.
        DatasetError: What is there is not of this kind, or broken.
    """
    dataset = readers.get(kind).open(data_root(name, kind, progress=progress), split)
    if limit is None or limit >= len(dataset):
        return dataset
    return dataset.subset(range(limit))


def data_root(name: str, kind: DataKind, *, progress: Progress | None = None) -> Path:
    """Return the folder of a dataset; the built-in data is made on its first use.

    Raises:
        DatasetNotFound: There is no such folder.
    """
    if name == SYNTHETIC:
        return synthetic_folder(kind, readers.get(kind).write_demo, progress=progress)
    return find_root(name)


def find_root(name: str) -> Path:
    """Return the folder that a dataset's name or path stands for.

    Raises:
        DatasetNotFound: There is no such folder.
        DatasetError: A named set can't be fetched.
    """
    if is_named_set(name):
        return named_root(name)
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
