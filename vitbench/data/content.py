"""Data identified by content: the sha256 of every file that can move a score.

Files are hashed once. Their digests are kept in the cache, one table a data set, under path, size,
inode and the times of last change, so that a second look costs one `stat` a file.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vitbench.cache import cache_place, find_cached
from vitbench.data.kinds import Dataset
from vitbench.data.loader import in_order
from vitbench.outside_files import unless_broken
from vitbench.records import atomic
from vitbench.records.regular import regular_arrays

VERSION = 2  # of fingerprints; the first hashed names and sizes
LARGEST_DIGESTS = 16 << 30  # bytes of a table, unpacked
SETTLED_NS = 2_000_000_000  # a file changed this recently can change again under the same times
WHOLE_BYTES = 1 << 20  # up to this size a file is read at once
AHEAD = 4  # groups a thread that are hashed before their turn
BATCH = 64  # files that a thread hashes between two looks at the queue
SEPARATOR = b"\0"  # no path holds it
UNREADABLE = bytes(32)  # in the place of a digest; whoever needs the file says what is wrong
INODES = (1 << 63) - 1  # larger ones are cut, to be kept as signed numbers

Progress = Callable[[str, int, int], None]
Facts = tuple[int, int, int, int]  # size, mtime_ns, ctime_ns, inode


@dataclass
class Digests:
    """The sha256 of files below one folder, remembered from run to run."""

    root: Path
    workers: int = 1
    progress: Progress = lambda *_: None
    known: dict[bytes, tuple[Facts, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:32]
        self._table = ("digests", f"{name}.npz")
        self.known = _read(find_cached(*self._table))

    def of(self, files: Sequence[Path]) -> list[bytes]:
        """Return the sha256 of each file, 32 bytes; hash those that are new or changed.

        A file that can't be read counts as `UNREADABLE`.
        """
        paths = [os.fsencode(file) for file in files]
        found: dict[bytes, bytes] = {}
        missing = []
        for path in dict.fromkeys(paths):  # of many images in one file it is looked at once
            facts, digest = self.known.get(path, (None, b""))
            if facts is not None and facts == _facts_of(path):
                found[path] = digest
            else:
                missing.append(path)
        found |= zip(missing, self._hashed(missing), strict=True)
        return [found[path] for path in paths]

    def _hashed(self, paths: Sequence[bytes]) -> Iterator[bytes]:
        """Hash files by several threads (hashing frees the interpreter), and remember them."""
        if not paths:
            return
        done = 0
        start = time.time_ns()
        groups = (paths[at : at + BATCH] for at in range(0, len(paths), BATCH))
        hashed = in_order(_hash_group, groups, workers=self.workers, ahead=AHEAD * self.workers)
        with closing(hashed):  # a run that is stopped here does not end the queue first
            for group in hashed:
                for path, facts, digest in group:
                    if facts is not None and max(facts[1], facts[2]) + SETTLED_NS < start:
                        self.known[path] = (facts, digest)
                    yield digest
                done += len(group)
                self.progress("hashing the data", done, len(paths))
        with suppress(OSError):  # a cache that can't be written costs time alone
            _write(cache_place(*self._table), self.known)


def fingerprint(dataset: Dataset[Any], digests: Digests, *, pixels: bool) -> str:
    """Hash the content of a data set: items, labels, classes.

    The order of the items, the folder and the name of the data set do not count.

    Args:
        dataset: The data set. One that keeps no files says its own fingerprint in `info`.
        digests: Digests of files, remembered.
        pixels: Whether the images are looked at; labels alone can be scored without them.

    Returns:
        sha256, hexadecimal.
    """
    marks = [b"fingerprint", b"%d" % VERSION, dataset.info.kind.encode()]
    marks += [b"declared", dataset.info.fingerprint.encode()]
    marks += [os.fsencode(name) for name in dataset.class_names]
    shared = [os.fsencode(file.name) for file in dataset.shared_files]
    marks += _items(shared, [(file,) for file in dataset.shared_files], digests)
    names = (os.fsencode(item) for item in dataset.ids)
    marks += sorted(_items(names, _files(dataset, pixels=pixels, labels=True), digests))
    return _hash(marks)


def images_fingerprint(dataset: Dataset[Any], digests: Digests) -> str:
    """Hash the images of a data set in their order, whatever their labels (sha256, hexadecimal)."""
    marks = [b"images", b"%d" % VERSION, b"declared", dataset.info.fingerprint.encode()]
    names = [os.fsencode(item) for item in dataset.ids]
    marks += _items(names, _files(dataset, pixels=True, labels=False), digests)
    return _hash(marks)


def combined(parts: Iterable[str]) -> str:
    """Hash several fingerprints as one, in their order; one alone stays as it is."""
    marks = [part.encode() for part in parts]
    return marks[0].decode() if len(marks) == 1 else _hash(marks)


def _files(dataset: Dataset[Any], *, pixels: bool, labels: bool) -> list[Sequence[Path]]:
    """Return the files of every item that count."""
    return [
        (
            *(dataset.image_files(index) if pixels else ()),
            *(dataset.label_files(index) if labels else ()),
        )
        for index in range(len(dataset))
    ]


def _items(
    names: Iterable[bytes], files: Sequence[Sequence[Path]], digests: Digests
) -> Iterator[bytes]:
    """Return one mark an item: its name and the digests of its files."""
    found = iter(digests.of([file for group in files for file in group]))
    for name, group in zip(names, files, strict=True):
        yield SEPARATOR.join((name, b"".join(next(found) for _ in group)))


def _hash(marks: Iterable[bytes]) -> str:
    """Hash a sequence of byte strings; each goes in with its length, so none runs into the next."""
    digest = hashlib.sha256()
    for mark in marks:
        digest.update(len(mark).to_bytes(8, "little"))
        digest.update(mark)
    return digest.hexdigest()


def _hash_group(paths: Sequence[bytes]) -> list[tuple[bytes, Facts | None, bytes]]:
    return [_hash_file(path) for path in paths]


def _hash_file(path: bytes) -> tuple[bytes, Facts | None, bytes]:
    """Hash one file; its facts are those of the file that was read."""
    try:
        with open(path, "rb", buffering=0) as stream:  # noqa: PTH123  (bytes: names of any encoding)
            facts = _facts(os.fstat(stream.fileno()))
            if facts[0] <= WHOLE_BYTES:
                return path, facts, hashlib.sha256(stream.readall()).digest()
            return path, facts, hashlib.file_digest(stream, "sha256").digest()
    except OSError:
        return path, None, UNREADABLE


def _facts_of(path: bytes) -> Facts | None:
    try:
        return _facts(os.stat(path))  # noqa: PTH116  (bytes, a million times)
    except OSError:
        return None


def _facts(found: os.stat_result) -> Facts:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino & INODES


def _read(table: Path) -> dict[bytes, tuple[Facts, bytes]]:
    """Read a table of digests; one that is broken is made again."""
    return unless_broken(lambda: _table(table)) or {}


def _table(table: Path) -> dict[bytes, tuple[Facts, bytes]]:
    arrays = regular_arrays(table, LARGEST_DIGESTS)
    paths = arrays["paths"].tobytes().split(SEPARATOR)
    facts, digests = arrays["facts"].astype(np.int64).tolist(), arrays["digests"].tobytes()
    if len(digests) != 32 * len(facts) or len(paths) != len(facts):
        raise ValueError(f"{len(paths)} paths, {len(facts)} facts, {len(digests)} bytes of digests")
    return {
        path: ((size, mtime, ctime, inode), digests[32 * number : 32 * number + 32])
        for number, (path, (size, mtime, ctime, inode)) in enumerate(zip(paths, facts, strict=True))
    }


def _write(table: Path, known: dict[bytes, tuple[Facts, bytes]]) -> None:
    """Write a table of digests, with what another run has added to it meanwhile."""
    merged = _read(table) | known
    if not merged:
        return
    table.parent.mkdir(parents=True, exist_ok=True)
    with atomic(table) as path, path.open("wb") as stream:
        np.savez(
            stream,
            paths=np.frombuffer(SEPARATOR.join(merged), np.uint8),
            facts=np.array([facts for facts, _ in merged.values()], np.int64),
            digests=np.frombuffer(b"".join(digest for _, digest in merged.values()), np.uint8),
        )
