"""Images of one class each, wherever they are stored: in files, in shards, in tables."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Protocol, Self

from PIL import Image

from vitbench.data.decode import decode
from vitbench.data.kinds import Sample, T, part_of
from vitbench.errors import DatasetError, listed
from vitbench.records import DatasetInfo

TRAIN = "train"  # the split whose classes number those of every split
KIND = "classification"


class Store(Protocol):
    """Where encoded images lie, by their places."""

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
        image = Image.fromarray(decode(*self.encoded(index)))
        return Sample(self.ids[index], image, self.targets[index])

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
        """Return the items of some classes, numbered in the order of the classes given."""
        number = {self.class_names.index(name): new for new, name in enumerate(names)}
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
    entries: Sequence[tuple[str, int, int]],
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
        entries: Id, class and place of each item, in their order.
        class_names: By number.
        shared_files: Files that say the classes.
        notes: What the reader of a record must know.
    """
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind=KIND,
        items=len(entries),
        classes=len(class_names),
        item_noun="images",
    )
    ids, targets, places = map(list, zip(*entries, strict=True)) if entries else ([], [], [])
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


def take_turns(groups: Iterable[Sequence[T]]) -> list[T]:
    """Order items so that the classes take turns: the first of each, then the second of each, ….

    The first items are a fair sample then.
    """
    found: list[T] = []
    for turn in zip_longest(*groups):
        found += [item for item in turn if item is not None]
    return found


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
