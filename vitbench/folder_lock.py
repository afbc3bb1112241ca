"""One run at a time in a folder, by a lock that the system lets go of however the run ends."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP
from pathlib import Path
from typing import IO, Any

LOCK = "lock"  # the file in the folder
WITHOUT_LOCKS = {ENOLCK, ENOSYS, ENOTSUP, EOPNOTSUPP}  # of some network disks


class FolderInUse(Exception):
    """Another run, on this machine, is at work in the folder."""


@contextmanager
def folder_lock(folder: Path, *, wait: bool) -> Iterator[None]:
    """Hold a folder, which is made; a folder that is removed while one waits is made again.

    On file systems without locks nothing is held: two runs then do the same work, and each file is
    that of one of them, since all files are written under other names.

    Args:
        folder: Where to work.
        wait: Whether to wait for another run; else it is an error.

    Raises:
        FolderInUse: Another run holds the folder.
        OSError: The folder can't be written.
    """
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = (folder / LOCK).open("a")
        except (FileNotFoundError, FileExistsError):
            if folder.exists() and not folder.is_dir():
                raise
            continue  # the folder was removed just now
        with handle:
            if lock_file(handle, wait=wait) is False:
                raise FolderInUse(str(folder))
            if _is_at(handle, folder / LOCK):
                try:
                    yield
                finally:
                    if _is_at(handle, folder / LOCK):  # it may have gone with its folder
                        with suppress(OSError):
                            (folder / LOCK).unlink()
                return


def empty(folder: Path) -> None:
    """Remove all that lies in a folder but its lock."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)


def lock_file(handle: IO[Any] | int, *, wait: bool) -> bool | None:
    """Lock an open file as long as it is open.

    Returns:
        False if somebody else holds the lock, None on a file system without locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
        return None
    return True


def _is_at(handle: IO[str], path: Path) -> bool:
    """Tell whether an open file is still the one at a path: the folder may have been removed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False
