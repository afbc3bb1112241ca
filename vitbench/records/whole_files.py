"""Files that appear whole or not at all, and the removal of what a killed run left half-written."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from vitbench.folder_lock import lock_file

PART = ".part"  # ending of what is being written
BUILDING = ".building-"  # beginning of the name of a folder that is being made
REMOVED = ".removed-"  # and of one that is being removed
SETTLED = 1.0  # seconds in which whoever makes a file has locked it
ABANDONED = 24 * 3600  # seconds after which a file counts as left over, locked or not


class atomic:  # noqa: N801  (read as a verb: `with atomic(path) as temporary:`)
    """Give a temporary path beside the target; rename it on success, remove it on failure.

    The temporary file is locked as long as it is written, so that `sweep` can tell it from one that
    a killed process left.
    """

    def __init__(self, target: Path) -> None:
        self._target = target

    def __enter__(self) -> Path:
        self._handle, name = tempfile.mkstemp(
            prefix=f".{self._target.name}.", suffix=PART, dir=self._target.parent
        )
        self._temporary = Path(name)
        lock_file(self._handle, wait=False)
        return self._temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._temporary.chmod(0o644)
                self._temporary.replace(self._target)
        finally:
            self._temporary.unlink(missing_ok=True)
            os.close(self._handle)


def sweep(folder: Path, pattern: str = f".*{PART}") -> None:
    """Remove the temporary files of runs that were killed; what a living run writes stays.

    Args:
        folder: Where they may lie; there need not be one.
        pattern: Which of its files are temporary.
    """
    found = list(folder.glob(pattern))
    settled = time.time() + SETTLED
    for path in found:
        with suppress(OSError):  # it is gone, or nobody may write its folder
            if not path.is_symlink() and path.is_file() and _is_left_over(path, settled):
                path.unlink(missing_ok=True)


def sweep_folders(folder: Path, pattern: str, *, age: float) -> None:
    """Remove folders that were left half-made or half-removed, unless they are younger (s)."""
    for path in folder.glob(pattern):
        with suppress(OSError):  # somebody else removes it
            if time.time() - path.stat().st_mtime >= age:
                shutil.rmtree(path)


def _is_left_over(path: Path, settled: float) -> bool:
    """Tell whether nobody writes a file; if it is new, once its maker must have locked it."""
    age = time.time() - path.stat().st_mtime
    if age < SETTLED:
        time.sleep(max(0.0, settled - time.time()))
    with path.open("rb") as stream:
        return age > ABANDONED or lock_file(stream, wait=False) is True
