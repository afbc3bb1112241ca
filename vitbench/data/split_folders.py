"""What a split is called on disk: `val` may lie in `validation/`, `valid/`, or `test/`."""

import re
from collections.abc import Iterable
from pathlib import Path

from vitbench.data.listing import is_hidden

ALIASES = {"val": ("validation", "valid", "test")}  # in this order; `test` where no other is there


def names_of(split: str) -> tuple[str, ...]:
    """Return the names that a split can have on disk, the first that is there counts."""
    return (split, *ALIASES.get(split, ()))


def split_folder(root: Path, split: str) -> Path | None:
    """Return the folder of a split, None where there is none."""
    return next((root / name for name in names_of(split) if (root / name).is_dir()), None)


def split_files(folder: Path, split: str, suffix: str) -> tuple[str, list[Path]]:
    """Return the files of a split by their names, `train-00000-of-00012.tar`, sorted.

    Args:
        folder: Where they lie.
        split: Whose files.
        suffix: How their names end, with the dot.

    Returns:
        What the split is called, and its files; nothing where there are none.
    """
    found = sorted(
        path for path in folder.iterdir() if path.name.endswith(suffix) and not is_hidden(path.name)
    )
    for name in names_of(split):
        pattern = re.compile(rf"(?:^|[-_.]){name}(?:\d*)(?=[-_.]|$)", re.IGNORECASE)
        mine = [path for path in found if pattern.search(path.name.removesuffix(suffix))]
        if mine:
            return name, mine
    return "", []


def alias_notes(split: str, found: str) -> Iterable[str]:
    """Say that a split was read under another name."""
    return () if found == split else (f"{split} is read from {found!r}: there is no {split!r}",)
