"""Text files that stand for a link, as some checkouts write links: followed below the data only."""

import os
from pathlib import Path

from vitbench.data.dataset import DATA_VARIABLE
from vitbench.errors import DatasetError

LINK_BYTES = 512  # the longest path that is looked for in a file


def follow_pointer(path: Path, root: Path) -> Path:
    """Return the file that a text pointer stands for; any other file stands for itself.

    git writes a symbolic link as a small text file, the path of its target, where the file system
    has no links. A pointer is a file of at most 512 bytes whose only line is a relative or absolute
    path with the suffix of the file itself.

    Args:
        path: A file of a dataset.
        root: The folder of the dataset.

    Raises:
        DatasetError: The pointer leads out of the dataset's folder and of `$VITBENCH_DATA`.
    """
    text = _only_line(path)
    if Path(text).suffix.lower() != path.suffix.lower():
        return path
    target = (path.parent / text).resolve()
    if not _is_below(target, root):
        raise DatasetError(
            f"{str(path)!r} is a text that points out of the dataset's folder.",
            expected=f"a file below {str(root)!r} or below ${DATA_VARIABLE}",
            found=repr(text),
            hint=f"put the file in its place, or export {DATA_VARIABLE}=FOLDER that holds both",
        )
    try:
        return target if target.is_file() else path
    except OSError:  # a name that is too long
        return path


def _is_below(target: Path, root: Path) -> bool:
    """Whether a resolved path lies in the dataset's folder or in the folder of all datasets."""
    base = os.environ.get(DATA_VARIABLE)
    return any(
        target.is_relative_to(folder.resolve())
        for folder in (root, *([Path(base)] if base else []))
    )


def _only_line(path: Path) -> str:
    """Return the text of a small file of one printable line; else nothing."""
    try:
        if path.stat().st_size > LINK_BYTES:
            return ""
        text = path.read_bytes().decode("utf-8", errors="replace").strip()
    except OSError:  # reading the file as what it should be says what is wrong
        return ""
    return text if text.isprintable() else ""
