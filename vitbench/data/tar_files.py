"""The images of one tar file, read from front to back: one a sample, and nothing lost in silence.

Members of one sample follow one another and share the name up to its first dot: `x.jpg`, `x.cls`,
`x.seg.png`. The image is the one with a single suffix, `x.jpg`; the others are labels.

Source:
    The WebDataset format, github.com/webdataset/webdataset.
"""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import IO

from vitbench.bounds import LARGEST_ANNOTATION, LARGEST_IMAGE
from vitbench.data.listing import is_hidden, is_image
from vitbench.errors import DatasetError, listed

LABELS = ("cls", "json")  # suffixes of files that say a class

Encoded = tuple[str, bytes]  # name and bytes of an image file


@dataclass(frozen=True, slots=True)
class Sample:
    """Where the image of a sample lies in its tar file, and what is said of its class."""

    image: str  # name of the image file
    offset: int  # bytes
    size: int  # bytes
    cls: bytes | None = None  # content of x.cls
    json: bytes | None = None  # of x.json


class _Header(tarfile.TarInfo):
    """A header that is refused when it is damaged; the standard library takes that for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        """Parse the 512 bytes of a header."""
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a damaged header, or a file cut off ({error})") from error
        if header.size < 0:
            raise tarfile.ReadError(f"{header.name!r} says that it has {header.size} bytes")
        return header


def read_images(stream: IO[bytes]) -> Iterator[Encoded]:
    """Yield the image of each sample, in the order of the tar file, which need not be seekable.

    Raises:
        TarError: The file is damaged or cut off.
        DatasetError: A sample has several images, or none with a single suffix.
    """
    with tarfile.open(fileobj=stream, mode="r|*", tarinfo=_Header) as tar:
        for sample, members in groupby(_images(tar), key=_sample):
            names, found = [], []
            for member in members:
                names.append(member.name)
                if _has_one_suffix(member):
                    found.append((member.name, _content(tar, member)))
            _check(sample, names, len(found))
            yield found[0]


def count_images(stream: IO[bytes]) -> int:
    """Count the samples with an image by the headers alone; raises as `read_images` does."""
    count = 0
    with tarfile.open(fileobj=stream, tarinfo=_Header) as tar:
        for sample, members in groupby(_images(tar), key=_sample):
            found = list(members)
            _check(sample, [member.name for member in found], sum(map(_has_one_suffix, found)))
            count += 1
    return count


def index_samples(path: Path) -> Iterator[Sample]:
    """Find the image of each sample of a tar file that is not compressed, and its labels.

    Raises:
        TarError: The file is damaged or cut off.
        DatasetError: A sample has several images.
    """
    with tarfile.open(path, "r:", tarinfo=_Header) as tar:
        members = (member for member in tar if member.isfile() and not _is_hidden(member))
        for name, group in groupby(members, key=_sample):
            images, labels = [], {}
            for member in group:
                _, _, suffix = member.name.rpartition("/")[2].partition(".")
                if is_image(member.name) and _has_one_suffix(member):
                    _check_size(member)
                    images.append(member)
                elif suffix in LABELS and member.size <= LARGEST_ANNOTATION:
                    labels[suffix] = _content(tar, member)
            if images:
                _check(name, [member.name for member in images], len(images))
                (image,) = images
                yield Sample(image.name, image.offset_data, image.size, **labels)


def _images(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        if member.isfile() and is_image(member.name):
            _check_size(member)
            yield member


def _check_size(member: tarfile.TarInfo) -> None:
    if member.size > LARGEST_IMAGE or member.issparse():
        raise tarfile.ReadError(f"{member.name!r} says that it has {member.size} bytes")


def _is_hidden(member: tarfile.TarInfo) -> bool:
    return any(map(is_hidden, member.name.split("/")))


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    data = file.read() if file else b""
    if len(data) != member.size:
        raise tarfile.ReadError(f"{member.name!r} is cut off")
    return data


def _sample(member: tarfile.TarInfo) -> str:
    """Return the name of the sample that a member belongs to."""
    folder, slash, name = member.name.rpartition("/")
    return folder + slash + name.partition(".")[0]


def _has_one_suffix(member: tarfile.TarInfo) -> bool:
    return member.name.rpartition("/")[2].count(".") == 1


def _check(sample: str, names: Sequence[str], images: int) -> None:
    if images != 1:
        raise DatasetError(
            f"which image of the sample {sample!r} is to be used?",
            expected="one image with a single suffix, as x.jpg; labels as x.seg.png beside it",
            found=listed(names),
            hint="rename the members: what comes after the first dot of a name is its suffix",
        )
