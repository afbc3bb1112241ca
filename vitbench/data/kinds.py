"""Datasets as protocols see them: what is on disk, untransformed, one item at a time.

A kind of data is the name of a reader. Each kind has its own type below, or in the package of the
plug-in that brings the kind.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

from PIL import Image

from vitbench.data.instances import Instances
from vitbench.records import DatasetInfo

T = TypeVar("T")
ItemT = TypeVar("ItemT", covariant=True)


@dataclass(frozen=True, slots=True)
class Sample(Generic[T]):
    """One image and what is known of it."""

    id: str  # equal on every machine: a relative path or an annotation's id
    image: Image.Image  # RGB, untransformed
    target: T  # a class index, instances, an index map, …


class Items(Protocol[ItemT]):
    """A sequence of items that are read when they are asked for."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> ItemT: ...


@runtime_checkable
class Dataset(Items[ItemT], Protocol[ItemT]):
    """Items of one split, with the files that each of them is read from.

    The files are what a dataset is known by: the sha256 of each enters the identity of a run.
    A dataset without files says its own fingerprint in `info`.
    """

    @property
    def info(self) -> DatasetInfo:
        """Name, split, kind and size."""

    @property
    def ids(self) -> Sequence[str]:
        """The id of every item; reads no item."""

    @property
    def notes(self) -> Sequence[str]:
        """Remarks for the reader of a record: what was derived, assumed or left out."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names of the classes in the order of their numbers; empty where no class is named."""

    @property
    def shared_files(self) -> Sequence[Path]:
        """Files that all items depend on: an annotation file, a list of class names."""

    def image_files(self, index: int) -> Sequence[Path]:
        """Files that the pixels of one item come from."""

    def label_files(self, index: int) -> Sequence[Path]:
        """Files that the target of one item comes from."""

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given; `part_of` makes their `info`."""


@runtime_checkable
class ImageDataset(Dataset[Sample[T]], Protocol[T]):
    """One image an item, so that broken images are found before any work starts."""

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return the image of one item as it is stored, and its name for messages.

        Raises:
            CorruptImage: It can't be read.
        """


@runtime_checkable
class ClassificationDataset(ImageDataset[int], Protocol):
    """Images of one class each (kind `classification`)."""

    @property
    def targets(self) -> Sequence[int]:
        """The class of every item, a position in `class_names`; reads no image."""

    def of_classes(self, names: Sequence[str]) -> Self:
        """Return the items of some classes, numbered in the order of the classes given.

        A class that the dataset does not have gets a number and no item.
        """


@runtime_checkable
class LabeledDataset(ImageDataset[Any], Protocol):
    """Images with a label for every pixel: kinds `semantic`, `panoptic` and `instances`."""

    @property
    def categories(self) -> Mapping[int, str]:
        """Names by label; empty where no file says them."""

    @property
    def files(self) -> Sequence[Path]:
        """The image of every item, whether or not it is there."""

    def target(self, index: int) -> Any:
        """Return the labels of one item without reading its image."""


@runtime_checkable
class InstanceDataset(LabeledDataset, Protocol):
    """Images with their objects (kind `instances`)."""

    @property
    def shift(self) -> int:
        """The number added to the category ids of the file to get above 0."""

    def target(self, index: int) -> Instances:
        """Return the objects of one image without reading the image."""


@runtime_checkable
class IndexMapDataset(LabeledDataset, Protocol):
    """Images with an index map each (kind `semantic`)."""

    @property
    def void(self) -> Collection[int]:
        """Labels that the class file calls unlabeled or void."""


def part_of(info: DatasetInfo, items: int) -> DatasetInfo:
    """Describe a part of a dataset: so many items of so many."""
    return replace(info, items=items, of_items=info.of_items or info.items)
