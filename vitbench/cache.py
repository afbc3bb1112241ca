"""The user's cache folder: built-in data, downloads, features; all of it can be made again.

A cache that can't be written, as one on a read-only mount, is read all the same; what is made then
lies in the user's own cache folder, or in the folder for temporary files.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitbench.errors import CacheError

CACHE_VARIABLE = "VITBENCH_CACHE"


def cache_root() -> Path:
    """Return `$VITBENCH_CACHE`, else `vitbench` in the XDG cache folder. It may not exist yet."""
    own = os.environ.get(CACHE_VARIABLE)
    return Path(own).expanduser() if own else _user_cache()


def cache_roots() -> tuple[Path, ...]:
    """Return the folders that are looked into; the first is the one that is written to."""
    root = cache_root()
    return (root,) if _is_writable(root) else (_instead(), root)


def find_cached(*parts: str) -> Path:
    """Return where something of the cache lies, or where it is to be made if it is nowhere."""
    places = [root.joinpath(*parts) for root in cache_roots()]
    return next((place for place in places if place.exists()), places[0])


def cache_place(*parts: str) -> Path:
    """Return where something of the cache is written."""
    return cache_roots()[0].joinpath(*parts)


@contextmanager
def writing_to_cache(what: str, folder: Path) -> Iterator[None]:
    """Name what can't be written to the cache.

    Raises:
        CacheError: The disk is full, or the folder can't be written.
    """
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{what} could not be written to {str(folder)!r}.",
            expected="a folder with room that can be written",
            found=error.strerror or str(error),
            hint="vitbench cache clear, or export VITBENCH_CACHE=PATH; the same command goes on "
            "with what is finished",
        ) from error


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vitbench"


def _instead() -> Path:
    """Return the folder that is written to where the cache can't be."""
    own = _user_cache()
    if own != cache_root() and _is_writable(own):
        return own
    folder = Path(tempfile.gettempdir()) / f"vitbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():  # made by somebody else for us
        raise PermissionError(1, "the folder is not yours", str(folder))
    return folder


def _is_writable(folder: Path) -> bool:
    """Tell whether a folder can be written, or made where there is none.

    What is no folder is a mistake, which the first file that is written names.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return not there.is_dir() or os.access(there, os.W_OK | os.X_OK)
