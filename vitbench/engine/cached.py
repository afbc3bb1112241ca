"""The entries of the user's cache, their sizes, and their removal."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from vitbench.cache import cache_roots
from vitbench.errors import UnknownName
from vitbench.folder_lock import FolderInUse, folder_lock
from vitbench.records import ABANDONED, BUILDING, REMOVED, sweep, sweep_folders

PARTS = {  # of the cache, by the word for it: which folders hold it
    "features": ("features",),
    "gate": ("gate",),
    "known": ("known",),
    "runs": ("runs",),
    "downloads": ("checkpoints",),
    "synthetic": ("synthetic-v*",),
    "named": ("named",),
    "digests": ("digests", "screened", "listings"),
    "resamples": ("resamples",),
}
HELD = ("features", "runs")  # by the run that is at work in a folder of theirs
ALL = "all"
SHORTEST_KEY = 6  # characters of a feature store's key that choose it


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder of the cache, as it is kept and removed."""

    part: str  # a key of `PARTS`
    path: Path
    size_bytes: int
    dataset: str = ""  # of a feature store: name/split
    arch: str = ""  # of a feature store

    @property
    def key(self) -> str:
        """The name that a feature store is chosen by."""
        return self.path.name


def entries(parts: Sequence[str] = tuple(PARTS)) -> Iterator[Entry]:
    """Yield the entries of the cache, part by part."""
    for part in parts:
        for pattern in PARTS[part]:
            for folder in (path for root in cache_roots() for path in sorted(root.glob(pattern))):
                # the built-in data is one thing; of the others each file or folder is
                found = [folder] if part == "synthetic" else sorted(folder.glob("*"))
                yield from (_entry(part, path) for path in found)


def choose(words: Sequence[str]) -> list[Entry]:
    """Return the entries that words select.

    Args:
        words: Parts of the cache, `all`; the key of a feature store or its first characters; the
            data of feature stores, as `imagenet` or `imagenet/val`.

    Raises:
        UnknownName: A word means nothing that is kept.
    """
    kept = list(entries())
    chosen: dict[Path, Entry] = {}
    for word in words:
        found = [entry for entry in kept if _means(word, entry)]
        if not found and word not in {*PARTS, ALL}:
            names = {entry.dataset for entry in kept if entry.dataset}
            raise UnknownName(
                "part of the cache", word, [*PARTS, ALL, *names], hint="vitbench cache ls"
            )
        chosen |= {entry.path: entry for entry in found}
    return list(chosen.values())


def remove(entry: Entry) -> bool:
    """Remove an entry, unless a run holds its lock; tell whether it is gone."""
    with suppress(FileNotFoundError):  # somebody else removed it
        if entry.part not in HELD or not entry.path.is_dir():
            _drop(entry.path)
            return True
        try:
            with folder_lock(entry.path, wait=False):
                _drop(entry.path)
        except FolderInUse:
            return False
    return True


def sweep_cache() -> None:
    """Remove what killed runs left half-written or half-removed."""
    root = cache_roots()[0]
    sweep_folders(root, f"{REMOVED}*", age=0)
    for pattern in (pattern for part in PARTS.values() for pattern in part):
        for folder in root.glob(pattern):
            sweep(folder)
    for folder in (*root.glob("synthetic-v*/*"), *root.glob("named/*")):
        sweep_folders(folder, f"{BUILDING}*", age=ABANDONED)


def _means(word: str, entry: Entry) -> bool:
    by_key = entry.part == "features" and len(word) >= SHORTEST_KEY and entry.key.startswith(word)
    by_data = bool(entry.dataset) and word in {entry.dataset, entry.dataset.rpartition("/")[0]}
    return word in {entry.part, ALL} or by_key or by_data


def _entry(part: str, path: Path) -> Entry:
    files = (file for file in (path, *path.rglob("*")) if file.is_file())
    size = sum(file.stat().st_size for file in files)
    if part != "features":
        return Entry(part, path, size)
    try:
        told = json.loads((path / "about.json").read_text())
        return Entry(part, path, size, f"{told['dataset']}/{told['split']}", str(told["arch"]))
    except (OSError, ValueError, TypeError, KeyError):
        return Entry(part, path, size, "", "(not finished)")


def _drop(path: Path) -> None:
    """Remove a file or folder; a folder is renamed first, so that no run finds it half removed."""
    if not path.is_dir() or path.is_symlink():
        path.unlink()
        return
    root = next(root for root in cache_roots() if path.is_relative_to(root))
    away = Path(mkdtemp(dir=root, prefix=REMOVED))
    path.rename(away / path.name)
    shutil.rmtree(away, ignore_errors=True)
