"""Kinds, items of each split, and completeness of a folder of data, for lists.

Names are listed, no image is opened, and nothing is checked: the readers do that.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vitbench.data.listing import image_names
from vitbench.data.published.sets import whole_counts
from vitbench.data.split_folders import names_of, split_files
from vitbench.data.voc import is_voc
from vitbench.errors import VitbenchError

SPLITS = ("train", "val")


@dataclass(frozen=True, slots=True)
class Seen:
    """One split as it lies there."""

    count: int
    noun: str  # what is counted


def seen_in(root: Path) -> list[str]:
    """Describe a folder of data, one text a kind: `classification: train 9,469 images, whole`."""
    found = []
    for kind, look in LOOKS.items():
        try:
            splits = {split: seen for split in SPLITS if (seen := look(root, split)) is not None}
        except (OSError, VitbenchError) as error:
            found.append(f"{kind}: can't be listed ({str(error).splitlines()[0]})")
            continue
        if splits:
            whole = whole_counts(root.name).get(kind, {})
            found.append(f"{kind}: {', '.join(_described(splits, whole))}")
    return found


def _described(splits: Mapping[str, Seen], whole: Mapping[str, int]) -> Iterator[str]:
    for split, seen in splits.items():
        text = f"{split} {seen.count:,} {seen.noun}"
        if split in whole and seen.noun in ("images", "clips"):
            text += " (whole)" if seen.count == whole[split] else f" of {whole[split]:,}"
        yield text


def _classification(root: Path, split: str) -> Seen | None:
    for name in names_of(split):
        for suffix, noun in ((".tar", "shards"), (".parquet", "Parquet files")):
            files = split_files(root, name, suffix)
            if files:
                return Seen(len(files), noun)
        folder = root / name
        if folder.is_dir():
            names = image_names(folder)
            return Seen(sum("/" in name for name in names) or len(names), "images")
    return None


def _instances(root: Path, split: str) -> Seen | None:
    files = sorted((root / "annotations").glob(f"instances_{split}*.json"))
    folder = root / files[0].stem.removeprefix("instances_") if files else root
    if not files:
        return None
    return Seen(len(image_names(folder)) if folder.is_dir() else 0, "images")


def _semantic(root: Path, split: str) -> Seen | None:
    if is_voc(root):
        path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        return Seen(len(path.read_text().split()), "images") if path.is_file() else None
    folder = root / "images" / {"train": "training", "val": "validation"}[split]
    if not folder.is_dir() or not (root / "annotations").is_dir():
        return None
    return Seen(len(image_names(folder)), "images")


def _clips(root: Path, split: str) -> Seen | None:
    path = root / "ImageSets" / "2017" / f"{split}.txt"
    return Seen(len(path.read_text().split()), "clips") if path.is_file() else None


LOOKS: Mapping[str, Callable[[Path, str], Seen | None]] = {
    "classification": _classification,
    "clips": _clips,
    "instances": _instances,
    "semantic": _semantic,
}
