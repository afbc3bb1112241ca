"""Feature arrays on disk: each is whole or made again, whoever is stopped, whatever disk is full.

Every process of a pass appends its finished batches to a file of its own, `batches.*.part`, by
plain writes: a full disk is an error there, as it is not where a file is mapped into memory. When
all batches are there, they are put together to one array an output, under a temporary name. No two
processes write to one file, and what they share is renamed when it is whole, so a store may lie on
a network file system.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from errno import EINVAL, ENOSYS, EOPNOTSUPP
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from vitbench.cache import writing_to_cache
from vitbench.outside_files import unless_broken
from vitbench.records import PART, atomic

BATCH_START = struct.Struct("<8sQQI")  # mark, number of the batch, bytes, their checksum
MARK = b"vitbatch"
READ_AT_ONCE = 1 << 24  # bytes
UNABLE = (EINVAL, ENOSYS, EOPNOTSUPP)  # of a file system that takes no room beforehand

Array = NDArray[np.float32]


def is_whole(path: Path, shape: tuple[int, int]) -> bool:
    """Tell whether a file holds an array of float32 of a shape, to its last byte."""
    found = unless_broken(lambda: np.load(path, mmap_mode="r", allow_pickle=False))
    if found is None or found.shape != shape or found.dtype != np.float32:
        return False
    whole: bool = path.stat().st_size == found.offset + found.nbytes and not np.isfortran(found)
    return whole


@dataclass(frozen=True, slots=True)
class Batches:
    """The finished batches of a pass, wherever they lie.

    Args:
        store: The folder.
        tag: What the batches are of: files with another tag are of another pass.
        rows: Images of each batch.
        widths: D of each output, by its key, in the order in which a batch holds them.
    """

    store: Path
    tag: str
    rows: Sequence[int]
    widths: Mapping[str, int]

    def finished(self) -> dict[int, tuple[Path, int]]:
        """Return file and first byte of every batch that is whole, of killed runs too."""
        return {
            number: (path, offset)
            for path in sorted(self.store.glob(f"batches.{self.tag}.*{PART}"))
            for number, offset in self._in_file(path)
        }

    @contextmanager
    def writer(self, batches: int) -> Iterator["BatchWriter"]:
        """Open a file for so many batches of this process; room for them is taken first."""
        path = self.store / f"batches.{self.tag}.{uuid4().hex[:12]}{PART}"
        most = batches * (BATCH_START.size + self._bytes(max(self.rows, default=0)))
        with writing_to_cache("features", path.parent), path.open("xb") as stream:
            reserve(stream, most)
            ends = np.cumsum(list(self.widths.values())).tolist()
            writer = BatchWriter(stream, ends[:-1])
            try:
                yield writer
            finally:
                stream.truncate(writer.end)
                os.fsync(stream.fileno())

    def put_together(self, places: Mapping[str, Path]) -> bool:
        """Write the array of each output, (n, D); False if a batch is missing."""
        found = self.finished()
        if len(found) < len(self.rows):
            return False
        before = 0  # bytes of a row that belong to the outputs before
        for key, path in places.items():
            self._write(path, self.widths[key], before, found)
            before += 4 * self.widths[key]
        for path in self.store.glob(f"batches.*{PART}"):
            path.unlink(missing_ok=True)
        return True

    def _write(
        self, path: Path, width: int, before: int, found: Mapping[int, tuple[Path, int]]
    ) -> None:
        shape = (sum(self.rows), width)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with (
            writing_to_cache("features", path.parent),
            atomic(path) as temporary,
            temporary.open("wb") as stream,
        ):
            np.lib.format.write_array_header_1_0(stream, header)
            reserve(stream, stream.tell() + 4 * shape[0] * width)
            for number, rows in enumerate(self.rows):
                part, offset = found[number]
                with part.open("rb") as source:
                    source.seek(offset + before * rows)
                    stream.write(source.read(4 * width * rows))
            stream.flush()
            os.fsync(stream.fileno())

    def _bytes(self, rows: int) -> int:
        return 4 * rows * sum(self.widths.values())

    def _in_file(self, path: Path) -> Iterator[tuple[int, int]]:
        """Yield number and place of the batches of a file, up to the first that is not whole."""
        with suppress(FileNotFoundError), path.open("rb") as stream:
            while len(start := stream.read(BATCH_START.size)) == BATCH_START.size:
                mark, number, size, checksum = BATCH_START.unpack(start)
                if (
                    mark != MARK
                    or number >= len(self.rows)
                    or size != self._bytes(self.rows[number])
                ):
                    return
                offset = stream.tell()
                if _checksum(stream, size) != checksum:
                    return
                yield number, offset


@dataclass
class BatchWriter:
    """Appends batches to the file of one process."""

    stream: IO[bytes]
    ends: Sequence[int]  # columns where one output ends and the next begins
    end: int = 0  # bytes that are whole

    def write(self, number: int, rows: Array) -> None:
        """Append a batch, (B, sum of the widths): the outputs side by side.

        Raises:
            OSError: The disk is full. What was written before stays.
        """
        outputs = np.split(rows, self.ends, axis=1)
        content = b"".join(np.ascontiguousarray(array, "<f4").tobytes() for array in outputs)
        start = BATCH_START.pack(MARK, number, len(content), zlib.crc32(content))
        self.stream.write(start + content)
        self.stream.flush()
        self.end += len(start) + len(content)


def reserve(stream: IO[Any], size: int) -> None:
    """Take the room for a file before it is written, where the file system can.

    Raises:
        OSError: There is not so much.
    """
    if size and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(stream.fileno(), 0, size)
        except OSError as error:
            if error.errno not in UNABLE:
                raise


def _checksum(stream: IO[bytes], size: int) -> int:
    found = 0
    while size > 0:
        part = stream.read(min(size, READ_AT_ONCE))
        if not part:
            return -1
        found, size = zlib.crc32(part, found), size - len(part)
    return found
