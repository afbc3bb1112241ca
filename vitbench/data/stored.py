"""Classified images in files that hold many: shards or tables, and their classes."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.bounds import LARGEST_LIST, MOST_CLASSES
from vitbench.data.classified import (
    TRAIN,
    ClassifiedImages,
    Store,
    check_classes,
    classified,
    turn_order,
)
from vitbench.data.split_folders import alias_notes, split_files
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.outside_files import A_NAME_A_LINE, AS_UTF8, parsing, read_text

NAME_FILES = ("classes.txt", "classnames.txt")  # a name a line, from label 0

Label = int | str | None


@dataclass(frozen=True, slots=True)
class Scan:
    """Images and labels in the files of a split; a label is a number, a name, or missing."""

    store: Store
    ids: Sequence[str]
    labels: Sequence[Label]
    names: Sequence[str] = ()  # of the classes by number, where the files say them
    in_turns: bool = True  # whether any image can be read at once, so that classes may take turns


Scanner = Callable[[Sequence[Path]], Scan]


def open_stored(root: Path, split: str, name: str, suffix: str, scan: Scanner) -> ClassifiedImages:
    """Open one split of images that lie many in a file.

    Labels that are numbers are those of the classes; names are numbered in their order in `train`.

    Args:
        root: The folder of the dataset.
        split: As it was asked for.
        name: What it is called on disk.
        suffix: How the files' names end.
        scan: Reads what files hold.

    Raises:
        DatasetNotFound: No image has a label.
        DatasetError: A file is broken, or some images have no label.
    """
    found = scan(split_files(root, name, suffix))
    _check_labels(root, name, found)
    train = split_files(root, TRAIN, suffix) if name != TRAIN else []
    known = scan(train).labels if train else found.labels
    named, file = _class_names(root, found)
    labels = {label for label in (*known, *found.labels) if label is not None}
    if all(isinstance(label, int) for label in labels):
        most = max((label for label in labels if isinstance(label, int)), default=-1) + 1
        if most > len(named):
            if named or most > MOST_CLASSES:
                raise _too_high(root, name, most - 1, len(named) or MOST_CLASSES)
            named = [str(number) for number in range(most)]
        targets = [label for label in found.labels if isinstance(label, int)]
    else:
        named = sorted({str(label) for label in known})
        check_classes(f"{str(root)!r} ({name})", map(str, found.labels), named)
        number = {label: place for place, label in enumerate(named)}
        targets = [number[str(label)] for label in found.labels]
    order = turn_order(targets) if found.in_turns else list(range(len(targets)))
    items = ([found.ids[place] for place in order], [targets[place] for place in order], order)
    return classified(
        root,
        split,
        found.store,
        items,
        named,
        shared_files=[file] if file else [],
        notes=alias_notes(split, name),
    )


def _check_labels(root: Path, name: str, found: Scan) -> None:
    without = [
        item
        for item, label in zip(found.ids, found.labels, strict=True)
        if label is None or label in ("", -1)
    ]
    if without or not found.ids:
        kind = DatasetNotFound if len(without) == len(found.ids) else DatasetError
        raise kind(
            f"{len(without)} images of {str(root)!r} ({name}) have no label.",
            expected="x.jpg with x.cls or x.json in a shard; a column of labels in a table",
            found=listed(without) if found.ids else "no image at all",
            hint="name a data set with labels, or unpack the images into a folder a class",
        )
    negative = [label for label in found.labels if isinstance(label, int) and label < 0]
    if negative:
        raise DatasetError(
            f"{str(root)!r} ({name}) has labels below 0.",
            expected="numbers of classes from 0, or names",
            found=listed([str(label) for label in sorted(set(negative))]),
        )
    if len(set(found.ids)) < len(found.ids):
        twice = sorted(item for item, times in Counter(found.ids).items() if times > 1)
        raise DatasetError(
            f"{str(root)!r} ({name}) has samples of one name.",
            expected="a name for each sample of a shard",
            found=listed(twice),
        )


def _class_names(root: Path, found: Scan) -> tuple[list[str], Path | None]:
    """Return the names of the classes, and the file beside the data that says them."""
    if found.names:
        return list(found.names), None
    path = next((root / name for name in NAME_FILES if (root / name).is_file()), None)
    if path is None:
        return [], None
    with parsing(f"the list of class names {str(path)!r}", expected=A_NAME_A_LINE, hint=AS_UTF8):
        return read_text(path, LARGEST_LIST).splitlines(), path


def _too_high(root: Path, name: str, label: int, classes: int) -> DatasetError:
    return DatasetError(
        f"{str(root)!r} ({name}) has labels above the number of classes.",
        expected=f"labels of {classes} classes, 0 to {classes - 1}",
        found=str(label),
        hint=f"{NAME_FILES[0]}: a name a line, that of label 0 first",
    )
