"""The images of a training: found, counted, and known again by their content."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vitbench import distributed
from vitbench.data.image_files import ImageFiles, find_images
from vitbench.data.shards import Shards, open_training_images
from vitbench.data.synthetic import NAME as SYNTHETIC
from vitbench.data.synthetic import synthetic_folder
from vitbench.errors import DatasetError

LOCAL = "file://"
REMOTE_FACTS = ("size", "ETag", "etag", "md5Hash")  # what a store says of an object's content


@dataclass(frozen=True, slots=True)
class TrainingImages:
    """What a training learns from, and where it lies."""

    images: ImageFiles | Shards

    def __str__(self) -> str:
        count, place = f"{len(self.images):,} images", self.places[0]
        if isinstance(self.images, ImageFiles):
            return f"{count} of {place}"
        return f"{count} in {len(self.images.urls)} shards, the first of them {place}"

    @property
    def places(self) -> tuple[str, ...]:
        """The folder of the images, or every shard."""
        images = self.images
        return (str(images.root),) if isinstance(images, ImageFiles) else images.urls

    def facts(self) -> dict[str, Any]:
        """Return what is the same for the same images: their number and their fingerprint."""
        mark = data_fingerprint(self.images) if distributed.is_main() else ""
        return {"images": len(self.images), "fingerprint": distributed.from_main(mark)}


def open_images(data: str) -> TrainingImages:
    """Open the training images of a dataset's name or path, or shards.

    Raises:
        DatasetError: There are none, or they can't be read.
    """
    if data == SYNTHETIC:
        return TrainingImages(find_images(synthetic_folder("classification")))
    found: Any = open_training_images(data)  # files or shards
    return TrainingImages(found)


def data_fingerprint(images: ImageFiles | Shards) -> str:
    """Hash the names and contents of all images (sha256, hexadecimal).

    Shards on this machine count by their content, those of a store by what the store says of it.

    Raises:
        DatasetError: A file can't be read.
    """
    if isinstance(images, ImageFiles):
        contents = _contents([images.root / name for name in images.ids])
        return _hash(zip(images.ids, contents, strict=True))
    return _hash((url.rpartition("/")[2], _content_of_shard(url)) for url in images.urls)


def _content_of_shard(url: str) -> str:
    if url.startswith(LOCAL) or "://" not in url:
        return _content(Path(url.removeprefix(LOCAL)))
    import fsspec

    files, path = fsspec.core.url_to_fs(url)
    told = files.info(path)
    return " ".join(f"{name}={told[name]}" for name in REMOTE_FACTS if told.get(name))


def _contents(files: Sequence[Path]) -> list[str]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_content, files))


def _content(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(
            f"{str(file)!r} can't be read.",
            expected="a file of the training data",
            found=error.strerror or str(error),
            hint="restore the file, or take it out of the folder",
        ) from error


def _hash(entries: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, content in entries:
        digest.update(f"{name}\0{content}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()
