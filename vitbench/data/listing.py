"""List image files and class folders, by one rule for all readers.

Names that begin with a dot are no data (`.ipynb_checkpoints`, `._x.jpg`). Links are followed; a
folder that a link leads back into is entered once.
"""

import os
from pathlib import Path

from vitbench.data.kept_listing import Facts, folder_facts, keep_listing, read_listing
from vitbench.errors import DatasetError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})

Place = tuple[int, int]  # device and inode of a folder


def image_names(folder: Path) -> list[str]:
    """List the image files at any depth below a folder: sorted relative paths, forward slashes.

    Raises:
        DatasetError: A folder can't be listed, a name is not UTF-8, or a link leads nowhere.
    """
    kept = read_listing(folder)
    if kept is not None:
        return kept
    found, folders = [], {}
    waiting: list[tuple[Path, str, frozenset[Place]]] = [(folder, "", frozenset())]
    while waiting:
        path, prefix, above = waiting.pop()
        facts = _facts(path)
        if facts[:2] in above:  # a link back
            continue
        folders[prefix] = facts
        for entry in _entries(path):
            if entry.is_dir():
                waiting.append((Path(entry), f"{prefix}{entry.name}/", above | {facts[:2]}))
            elif is_image(entry.name):
                found.append(prefix + _checked(entry))
    found.sort()
    keep_listing(folder, found, folders)
    return found


def folder_names(folder: Path) -> list[str]:
    """List the folders in a folder, sorted: the classes, where it is the folder of a split.

    Raises:
        DatasetError: The folder can't be listed, or a name is not UTF-8.
    """
    return sorted(_utf8(entry) for entry in _entries(folder) if entry.is_dir())


def is_image(name: str) -> bool:
    """Whether a file is an image of a dataset, by its relative path."""
    suffix = name[name.rfind(".") :].lower()
    return suffix in SUFFIXES and not any(map(is_hidden, name.split("/")))


def is_hidden(name: str) -> bool:
    """Whether a file or folder is no data, by its name alone."""
    return name.startswith(".") and name not in {".", ".."}


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    """List what lies in a folder and is not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_hidden(entry.name)]
    except OSError as error:
        raise DatasetError(
            f"the folder {str(folder)!r} can't be listed.",
            expected="a folder that may be read",
            found=error.strerror or str(error),
            hint="make the folder readable: chmod +rx FOLDER",
        ) from error


def _checked(entry: "os.DirEntry[str]") -> str:
    """Return the name of an image file; refuse what only has the name of one."""
    if not entry.is_file():
        raise DatasetError(
            f"{entry.path!r} is no file.",
            expected="an image file, or a link to one",
            found="a link that leads nowhere" if entry.is_symlink() else "a pipe or a device",
            hint="restore the file that the link names, or remove the link",
        )
    return _utf8(entry)


def _utf8(entry: "os.DirEntry[str]") -> str:
    """Return a name that can be written down; other names would not be equal on every machine."""
    try:
        entry.name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(entry.name)
        raise DatasetError(
            f"the name of {os.fsencode(entry.path)!r} is not UTF-8.",
            expected="names of images and classes in UTF-8",
            found=repr(name),
            hint=f"rename it, for example to {name.decode('latin-1')!r}",
        ) from None
    return entry.name


def _facts(folder: Path) -> Facts:
    try:
        return folder_facts(folder)
    except OSError:
        return -1, -1, 0, 0  # listing the folder says what is wrong
