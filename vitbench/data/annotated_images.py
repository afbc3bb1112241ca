"""Images that one annotation file lists, whatever is annotated: the base of COCO's data sets."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Generic, Self

from vitbench.data.coco_files import ImageEntry, check_size
from vitbench.data.decode import read_file, read_image
from vitbench.data.kinds import Sample, T, part_of
from vitbench.records import DatasetInfo


class AnnotatedImages(ABC, Generic[T]):
    """Images sorted by their ids, each read when its item is asked for.

    All that needs no pixels works without the images.

    Args:
        info: Name, split and kind.
        file: The annotation file.
        folder: Where the images lie.
        entries: The images, in any order.
        categories: Names by category id.
        notes: What a reader of the scores should know of the file.
    """

    class_names: Sequence[str] = ()  # in the annotation file

    def __init__(
        self,
        info: DatasetInfo,
        file: Path,
        folder: Path,
        entries: Sequence[ImageEntry],
        categories: Mapping[int, str],
        notes: Sequence[str] = (),
    ) -> None:
        self.info, self.categories, self.notes = info, categories, tuple(notes)
        self.shared_files = (file,)  # the annotations, class names among them
        self.entries = sorted(entries, key=lambda entry: entry.id)
        self.ids = [entry.file_name for entry in self.entries]
        self._folder = folder

    @cached_property
    def files(self) -> list[Path]:
        """The image of every item; half a second for a hundred thousand."""
        return [self._folder / name for name in self.ids]

    @abstractmethod
    def target(self, index: int) -> T:
        """Return the annotation of one image without reading the image."""

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of one image."""
        return (self._folder / self.ids[index],)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return nothing: one file holds all annotations."""
        return ()

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return the path and the bytes of one image."""
        (path,) = self.image_files(index)
        return str(path), read_file(path)

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given."""
        part = copy(self)
        part.info = part_of(self.info, len(indices))
        part.entries = [self.entries[index] for index in indices]
        part.ids = [self.ids[index] for index in indices]
        part.__dict__.pop("files", None)  # of all images
        return part

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Sample[T]:
        target, (path,), entry = self.target(index), self.image_files(index), self.entries[index]
        image = read_image(path)
        check_size(path, image.size, (entry.width, entry.height))
        return Sample(self.ids[index], image, target)
