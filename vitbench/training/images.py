"""The images of a training: found, counted, and known again by their content."""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitbench import distributed
from vitbench.data.content import Digests
from vitbench.data.image_files import ImageFiles, find_images
from vitbench.data.selection import listed_images
from vitbench.data.shards import Shards, open_training_images
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.data.synthetic import synthetic_folder
from vitbench.errors import DatasetError

LOCAL = "file://"
STORE_FACTS = ("size", "ETag", "etag", "md5Hash")  # what a store says of an object's content
MANY = 10_000  # files whose reading takes long enough to be told of
Log = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """What a training learns from, and where it lies."""

    images: ImageFiles | Shards

    def __str__(self) -> str:
        count, place = f"{len(self.images):,} images", self.places[0]
        if isinstance(self.images, ImageFiles):
            return f"{count} of {place}"
        shards = len(self.images.urls)
        return f"{count} in {shards} shard{'s' * (shards > 1)}, the first of them {place}"

    @property
    def places(self) -> tuple[str, ...]:
        """The folder of the images, or every shard."""
        images = self.images
        return (str(images.root),) if isinstance(images, ImageFiles) else images.urls

    def facts(self, log: Log = lambda _: None) -> dict[str, Any]:
        """Return what is the same for the same images: their number and their fingerprint."""
        mark = distributed.compute_on_main(lambda: data_fingerprint(self.images, log))
        return {"images": len(self.images), "fingerprint": mark}


def open_images(data: str, split_list: str = "") -> TrainingImages:
    """Open the training images of a dataset's name or path, or shards.

    Args:
        data: The name, path or URL.
        split_list: List of the images or classes to take; empty: all.

    Raises:
        DatasetError: There are none, they can't be read, or the list does not fit.
    """
    found: Any = (  # files or shards
        find_images(synthetic_folder("classification"))
        if data == SYNTHETIC
        else open_training_images(data)
    )
    if not split_list:
        return TrainingImages(found)
    if not isinstance(found, ImageFiles):
        raise DatasetError(
            f"a split list can't be taken of the shards {data!r}.",
            expected="a folder of images",
            hint="leave out --split-list, and name shards that hold these images alone",
        )
    return TrainingImages(listed_images(found, split_list))


def data_fingerprint(images: ImageFiles | Shards, log: Log) -> str:
    """Hash the names and contents of all images (sha256, hexadecimal).

    Files are read once; afterwards the cache knows them. Shards on this machine count by their
    content, those of a store by what the store says of it.

    Raises:
        DatasetError: A file can't be read.
    """
    if isinstance(images, ImageFiles):
        files, names = [images.file(index) for index in range(len(images))], list(images.ids)
        return _hash(zip(names, _digests(images.root, files, log), strict=True))
    local = [Path(url.removeprefix(LOCAL)) for url in images.urls if is_local(url)]
    contents = iter(_digests(local[0].parent, local, log) if local else ())
    names = [url.rpartition("/")[2] for url in images.urls]
    marks = [next(contents) if is_local(url) else _remote(url) for url in images.urls]
    return _hash(zip(names, marks, strict=True))


def is_local(url: str) -> bool:
    """Tell whether a shard is a file of this machine."""
    return url.startswith(LOCAL) or "://" not in url


def _remote(url: str) -> bytes:
    """Return what a store says of the content of an object."""
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    told = files.info(path)
    return " ".join(f"{name}={told[name]}" for name in STORE_FACTS if told.get(name)).encode()


def _digests(root: Path, files: Sequence[Path], log: Log) -> list[bytes]:
    """Return the sha256 of each file; a long reading is told of, tenth by tenth."""
    tenth = 0

    def progress(task: str, done: int, total: int) -> None:
        nonlocal tenth
        if total >= MANY and 10 * done // total > tenth:
            tenth = 10 * done // total
            log(f"{task}, once for all: {done:,} of {total:,} files")

    return Digests(root, os.cpu_count() or 1, progress).of(files)


def _hash(entries: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in entries:
        for part in (os.fsencode(name), content):
            digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
