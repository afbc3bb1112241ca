"""Images of one class each, wherever they are stored: in files, in shards, in tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from PIL import Image

from vitbench.data.decode import decode
from vitbench.data.kinds import Sample, part_of
from vitbench.data.sizes import Pixels
from vitbench.errors import DatasetError, listed
from vitbench.records import DatasetInfo

TRAIN = "train"  # the split whose classes number those of every split
QUERIES = "queries"  # the split by which a protocol asks for a second set, see `open_queries`
KIND = "classification"


class Store(Protocol):
    """The encoded images of a dataset, read by their position."""

    @property
    def holds_labels(self) -> bool:
        """Whether the file of an image says its class too."""

    def file(self, place: int) -> Path:
        """Return the file that holds an image, alone or with others."""

    def read(self, place: int) -> tuple[str, bytes]:
        """Return an image as it is stored, and its name for messages; raises CorruptImage."""


@dataclass(frozen=True, slots=True)
class ClassifiedImages:
    """A `ClassificationDataset`: images of a store, with the class of each."""

    info: DatasetInfo
    store: Store
    places: Sequence[int]  # of the items in the store
    ids: Sequence[str]
    targets: Sequence[int]  # positions in `class_names`
    class_names: Sequence[str]  # of all splits, those without an image here too
    shared_files: Sequence[Path] = ()  # that say the classes, where no image's own file does
    notes: Sequence[str] = ()

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the file that holds one image."""
        return (self.store.file(self.places[index]),)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of an image if it says the class; a folder's name is in the id."""
        return self.image_files(index) if self.store.holds_labels else ()

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return the image of one item as it is stored, and its name for messages."""
        return self.store.read(self.places[index])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample[int]:
        return Sample(self.ids[index], Image.fromarray(self.pixels(index)), self.targets[index])

    def pixels(self, index: int) -> Pixels:
        """Decode the image of one item, (H, W, 3)."""
        return decode(*self.encoded(index))

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given."""
        return replace(
            self,
            info=part_of(self.info, len(indices)),
            places=[self.places[index] for index in indices],
            ids=[self.ids[index] for index in indices],
            targets=[self.targets[index] for index in indices],
        )

    def of_classes(self, names: Sequence[str]) -> Self:
        """Return the items of some classes, numbered in the order of the classes given.

        A class that the dataset does not have gets a number and no item.
        """
        new = {name: number for number, name in enumerate(names)}
        number = {old: new[name] for old, name in enumerate(self.class_names) if name in new}
        kept = self.subset([i for i, target in enumerate(self.targets) if target in number])
        return replace(
            kept,
            info=replace(kept.info, classes=len(names)),
            targets=[number[target] for target in kept.targets],
            class_names=tuple(names),
        )


def classified(
    root: Path,
    split: str,
    store: Store,
    items: tuple[Sequence[str], Sequence[int], Sequence[int]],
    class_names: Sequence[str],
    *,
    shared_files: Sequence[Path] = (),
    notes: Sequence[str] = (),
) -> ClassifiedImages:
    """Make the dataset of a split.

    Args:
        root: The folder of the dataset, which is called like it.
        split: As it was asked for.
        store: Where the images lie.
        items: The id of each item, its class, and its place in the store.
        class_names: By number.
        shared_files: Files that say the classes.
        notes: What the reader of a record must know.
    """
    ids, targets, places = items
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind=KIND,
        items=len(ids),
        classes=len(class_names),
        item_noun="images",
    )
    return ClassifiedImages(
        info=info,
        store=store,
        places=places,
        ids=ids,
        targets=targets,
        class_names=tuple(class_names),
        shared_files=tuple(shared_files),
        notes=tuple(notes),
    )


def turn_order(targets: Sequence[int]) -> list[int]:
    """Order items so that the classes take turns: the first of each, then the second of each, ….

    The first items are a fair sample then.

    Args:
        targets: The class of each item.

    Returns:
        Positions of the items.
    """
    classes = np.asarray(targets, np.int64)
    by_class = np.argsort(classes, kind="stable")
    grouped = classes[by_class]
    turns = np.arange(len(classes)) - np.searchsorted(grouped, grouped)  # which of its class
    order: list[int] = by_class[np.argsort(turns, kind="stable")].tolist()
    return order


def check_classes(where: str, present: Iterable[str], classes: Sequence[str]) -> None:
    """Check that a split has no class that the training split lacks.

    Raises:
        DatasetError: It has one.
    """
    present = set(present)
    unknown = sorted(present - set(classes))
    if unknown:
        raise DatasetError(
            f"{where} has classes that {TRAIN!r} lacks: {listed(unknown)}.",
            expected=f"some of the {len(classes)} classes of {TRAIN}: {listed(classes)}",
            found=f"{len(present)} classes, {len(unknown)} of them unknown",
            hint=f"name the classes as in {TRAIN}, or give {TRAIN} the missing ones",
        )
