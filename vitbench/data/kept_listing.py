"""The image names below a large folder, kept in the cache: a later start looks at its folders only.

A listing is kept with the times of every folder in it. Adding, removing or renaming a file changes
those of its folder; then all of them are listed again.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vitbench.cache import cache_place, find_cached
from vitbench.outside_files import unless_broken
from vitbench.records import atomic
from vitbench.records.regular import regular_arrays

VERSION = 1  # of which files are listed
WORTH = 20_000  # names; fewer are listed in half a second
SETTLED_NS = 2_000_000_000  # a folder changed this recently can change again at the same time
SEPARATOR = "\0"  # no path holds it
INODES = (1 << 63) - 1  # larger ones are cut, to be kept as signed numbers
LARGEST_LISTING = 16 << 30  # bytes, unpacked

Facts = tuple[int, int, int, int]  # device, inode, mtime_ns, ctime_ns


def folder_facts(path: str | Path) -> Facts:
    """Return what tells whether another look at a folder would list the same.

    Raises:
        OSError: There is no such folder.
    """
    found = os.stat(path)  # noqa: PTH116  (thousands of times)
    return found.st_dev & INODES, found.st_ino & INODES, found.st_mtime_ns, found.st_ctime_ns


def read_listing(folder: Path) -> list[str] | None:
    """Return the image names below a folder as they were listed, None if they may have changed."""
    return unless_broken(lambda: _kept(folder))


def _kept(folder: Path) -> list[str] | None:
    arrays = regular_arrays(find_cached(*_file(folder)), LARGEST_LISTING)
    folders = _unpacked(arrays["folders"])
    facts = [tuple(row) for row in arrays["facts"].tolist()]
    if len(facts) != len(folders) or any(
        folder_facts(f"{folder}/{name}") != known
        for name, known in zip(folders, facts, strict=True)
    ):
        return None
    return _unpacked(arrays["names"])


def keep_listing(folder: Path, names: Sequence[str], folders: Mapping[str, Facts]) -> None:
    """Keep the image names below a folder, if they are many.

    Args:
        folder: Where the names were listed.
        names: The names, as they are to be returned.
        folders: Every folder that was listed, by its path below `folder` ("" for itself), as it
            was before.
    """
    newest = max(max(facts[2:]) for facts in folders.values())
    if len(names) < WORTH or newest + SETTLED_NS > time.time_ns():
        return
    with suppress(OSError):  # a cache that can't be written costs time alone
        path = cache_place(*_file(folder))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as temporary, temporary.open("wb") as stream:
            np.savez(
                stream,
                names=_packed(names),
                folders=_packed(folders),
                facts=np.array(list(folders.values()), np.int64),
            )


def _packed(texts: Iterable[str]) -> NDArray[np.uint8]:
    return np.frombuffer(os.fsencode(SEPARATOR.join(texts)), np.uint8)


def _unpacked(packed: NDArray[np.uint8]) -> list[str]:
    return os.fsdecode(packed.tobytes()).split(SEPARATOR)


def _file(folder: Path) -> tuple[str, str]:
    known_by = f"{VERSION}{SEPARATOR}".encode() + os.fsencode(folder.absolute())
    return "listings", f"{hashlib.sha256(known_by).hexdigest()[:32]}.npz"
