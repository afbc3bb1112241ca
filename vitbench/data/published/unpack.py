"""Unpack an archive of a stranger: only plain files, only below one folder, only so many bytes."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import IO

from vitbench.data.listing import is_hidden
from vitbench.errors import DatasetError

CHUNK = 1 << 20  # bytes
EXPANSION = 50  # an archive that grows by more than this factor is no archive of images
SMALLEST_LIMIT = 1 << 24  # bytes that any archive may hold
FOREIGN = "__MACOSX"  # a folder that archives of one system carry along
BROKEN = (tarfile.TarError, zipfile.BadZipFile, zlib.error, LZMAError, EOFError, RuntimeError)

Progress = Callable[[int], None]  # bytes written so far
Member = tuple[str, Callable[[], IO[bytes] | None]]  # its name, and how it is opened


def unpack(archive: Path, into: Path, *, strip: str = "", progress: Progress | None = None) -> int:
    """Write the files of a zip or tar archive below a folder.

    Args:
        archive: The file.
        into: The folder; files that are there already are replaced.
        strip: The folder in the archive whose content is taken; what lies beside it is left.
        progress: Told how many bytes are written.

    Returns:
        The number of files written.

    Raises:
        DatasetError: The archive is damaged or cut off, or a name in it leads out of the folder,
            is a link or a device, or comes twice; or it holds more than 50 times its own size.
    """
    limit = max(SMALLEST_LIMIT, EXPANSION * archive.stat().st_size)
    seen: set[PurePosixPath] = set()
    written = 0
    try:
        for name, opened in _members(archive):
            path = _inside(name, archive)
            if path in seen:
                raise _refused(archive, f"two files of the name {name!r}")
            seen.add(path)
            if not path.is_relative_to(strip) or any(map(_is_foreign, path.parts)):
                continue
            written = _write(opened(), into / path.relative_to(strip), written, limit, archive)
            if progress is not None:
                progress(written)
    except BROKEN as error:
        raise DatasetError(
            f"the archive {str(archive)!r} is damaged or cut off.",
            found=f"{type(error).__name__}: {error}",
            hint="remove it and fetch it again",
        ) from error
    kept = [path for path in seen if path.is_relative_to(strip)]
    if not kept:
        tops = sorted({path.parts[0] for path in seen})
        raise DatasetError(
            f"the archive {str(archive)!r} is another one.",
            expected=f"a folder {strip!r} in it" if strip else "files in it",
            found=", ".join(tops[:10]) or "nothing",
        )
    return len(kept)


def _members(archive: Path) -> Iterator[Member]:
    """Yield the files of an archive; folders are made as they are needed."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            for entry in file.infolist():
                if (entry.external_attr >> 28) == 0o12:  # a symbolic link, as Unix writes it
                    raise _refused(archive, f"a link, {entry.filename!r}")
                if not entry.is_dir():
                    yield entry.filename, lambda entry=entry: file.open(entry)  # type: ignore[misc]
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if not (member.isfile() or member.isdir()):
                raise _refused(archive, f"a link or device, {member.name!r}")
            if member.isfile():
                yield member.name, lambda member=member: tar.extractfile(member)  # type: ignore[misc]


def _inside(name: str, archive: Path) -> PurePosixPath:
    """Return the path of a member, unless it leads out of the folder."""
    path = PurePosixPath(name)
    drive = "\\" in name or ":" in name.partition("/")[0]
    if path.is_absolute() or ".." in path.parts or drive or "\0" in name or not path.parts:
        raise _refused(archive, f"the name {name!r}, which leads out of the folder")
    return path


def _is_foreign(part: str) -> bool:
    return part == FOREIGN or is_hidden(part)


def _write(stream: IO[bytes] | None, path: Path, written: int, limit: int, archive: Path) -> int:
    """Write one file; return the bytes written so far."""
    assert stream is not None  # of a plain file
    path.parent.mkdir(parents=True, exist_ok=True)
    with stream, path.open("wb") as file:
        while chunk := stream.read(CHUNK):
            written += len(chunk)
            if written > limit:
                raise _refused(archive, f"more than {limit:,} bytes of files")
            file.write(chunk)
    return written


def _refused(archive: Path, found: str) -> DatasetError:
    return DatasetError(
        f"the archive {str(archive)!r} was not unpacked: it is not what it should be.",
        expected="plain files below one folder, each once",
        found=found,
        hint="remove it, and compare its source with the set's own page",
    )
