"""Names of splits on disk: `val` may lie in `validation/`, `valid/`, or `test/`."""

import re
from collections.abc import Sequence
from pathlib import Path

from vitbench.data.listing import folder_names, is_hidden
from vitbench.errors import DatasetError, listed

ALIASES = {"val": ("validation", "valid", "test")}  # in this order; `test` where no other is there


def names_of(split: str) -> tuple[str, ...]:
    """Return the names that a split can have on disk; the first that is there counts."""
    return (split, *ALIASES.get(split, ()))


def split_folder(root: Path, split: str) -> Path | None:
    """Return the folder of a split, None where there is none."""
    return next((root / name for name in names_of(split) if (root / name).is_dir()), None)


def split_files(root: Path, name: str, suffix: str) -> list[Path]:
    """Return the files that hold a split: all in a folder of its name, or those of its name.

    Args:
        root: The folder of the dataset. The files lie in it, in `data/`, or one folder deeper.
        name: Of the split, as it may be written: `train-00000-of-00012.tar` holds `train`.
        suffix: How the files' names end, with the dot.

    Returns:
        The files, sorted; none where there are none, or where the split is a folder of folders.

    Raises:
        DatasetError: Several folders hold such files: which one is meant?
    """
    if (root / name).is_dir():
        return [] if folder_names(root / name) else _visible(root / name, suffix)
    pattern = re.compile(rf"(?:^|[-_.]){name}\d*(?=[-_.]|$)", re.IGNORECASE)
    deeper = sorted(path for path in root.iterdir() if path.is_dir() and not is_hidden(path.name))
    found = {
        folder: files
        for folder in (root, *deeper)
        if (
            files := [
                path
                for path in _visible(folder, suffix)
                if pattern.search(path.name.removesuffix(suffix))
            ]
        )
    }
    if len(found) > 1 and root not in found:
        raise DatasetError(
            f"{str(root)!r} holds several data sets with a split {name!r}.",
            expected="one",
            found=listed([folder.name for folder in found]),
            hint=f"--data {root}/{next(iter(found)).name}",
        )
    return next(iter(found.values()), [])


def _visible(folder: Path, suffix: str) -> list[Path]:
    return sorted(
        path for path in folder.iterdir() if path.name.endswith(suffix) and not is_hidden(path.name)
    )


def alias_notes(split: str, found: str) -> Sequence[str]:
    """Return a remark if a split was read under another name."""
    return () if found == split else (f"{split} is read from {found!r}: there is no {split!r}",)
