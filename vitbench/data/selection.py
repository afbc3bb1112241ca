"""Take some items of a split: those that a list names, then the first N of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from vitbench.bounds import LARGEST_LIST
from vitbench.data.image_files import ImageFiles
from vitbench.data.kinds import ClassificationDataset, Dataset
from vitbench.errors import DatasetError, SettingError, listed
from vitbench.outside_files import parsing, read_text

EVERY = ""  # in the place of a split's name
SHIPPED = Path(__file__).parent / "split_lists"  # named without their folder and ending
TWICE = -1  # in the place of an item's number: a short name that several items have

AnyDataset = TypeVar("AnyDataset", bound=Dataset[Any])
Limit = int | tuple[str, ...] | None  # of every split, or `train=1000`, `val=500`


@dataclass(frozen=True, slots=True)
class Selection:
    """The items to take of each split; by default all of them."""

    limits: Mapping[str, int] = field(default_factory=dict)  # by split, or EVERY
    lists: Mapping[str, Path] = field(default_factory=dict)  # likewise
    first: str = ""  # the split that a list of images is of, where none is named

    def of(self, dataset: AnyDataset) -> tuple[AnyDataset, Sequence[str]]:
        """Return the items that are taken, and what the reader of a record must know of it.

        Raises:
            DatasetError: A list can't be read, or names what is not there.
        """
        split, notes = dataset.info.split, []
        path = self.lists.get(split, self.lists.get(EVERY))
        if path is not None:
            before = len(dataset)
            dataset = self._listed(dataset, path)
            if len(dataset) < before:
                noun = dataset.info.item_noun or "items"
                notes.append(f"{split}: {len(dataset):,} of {before:,} {noun}, by {path.name}")
        most = self.limits.get(split, self.limits.get(EVERY, len(dataset)))
        return (dataset if most >= len(dataset) else dataset.subset(range(most))), notes

    def _listed(self, dataset: AnyDataset, path: Path) -> AnyDataset:
        """Take what a list names: classes of every split, or items of one."""
        lines = _read(path)
        names = {line.split()[0]: None for line in lines}
        if isinstance(dataset, ClassificationDataset) and names.keys() <= {*dataset.class_names}:
            return dataset.of_classes([name for name in dataset.class_names if name in names])
        if dataset.info.split not in self.lists and dataset.info.split != self.first:
            return dataset  # a list of images of another split
        return dataset.subset(_slots(dataset.ids, dataset.info.split, path, lines))


def listed_images(images: ImageFiles, file: str) -> ImageFiles:
    """Take the training images that a list names, or those in the folders of classes that it names.

    Args:
        images: All of them.
        file: As in `--split-list FILE`.

    Raises:
        DatasetError: The list can't be read, or names what is not there.
    """
    path = _path_of(file)
    lines = _read(path)
    names = {line.split()[0] for line in lines}
    folders = [PurePosixPath(one).parts[0] for one in images.ids]
    if names <= {*folders}:
        kept = [place for place, folder in enumerate(folders) if folder in names]
    else:
        kept = _slots(images.ids, "train", path, lines)
    return replace(images, ids=tuple(images.ids[place] for place in kept))


def selection(limit: Limit, split_list: Sequence[str], splits: Sequence[str]) -> Selection:
    """Make a selection from the values of `--limit` and `--split-list`.

    Args:
        limit: The most items of every split, or words `SPLIT=N`.
        split_list: Words `FILE` or `SPLIT=FILE`; `imagenet-10` names a list that ships.
        splits: That are read, in their order.

    Raises:
        SettingError: A word is of another form, or names a split that is not read.
    """
    problems: list[str] = []
    limits = {EVERY: limit} if isinstance(limit, int) else {}
    for word in limit if isinstance(limit, tuple) else ():
        split, _, number = word.rpartition("=")
        if not number.isdecimal() or int(number) < 1:
            problems.append(f"--limit is {word!r}, expected N or SPLIT=N, N at least 1")
        elif split and split not in splits:
            problems.append(f"--limit names the split {split!r}, read are {', '.join(splits)}")
        else:
            limits[split] = int(number)
    lists: dict[str, Path] = {}
    for word in split_list:
        split, equals, file = word.partition("=")
        if not equals or split not in splits:  # a path may hold "="
            split, file = EVERY, word
        if split in lists:
            problems.append(f"--split-list gives two lists, {lists[split]} and {file}")
        lists[split] = _path_of(file)
    if problems:
        raise SettingError(problems, hint="--limit train=1000 val=500, --split-list train=FILE")
    return Selection(limits, lists, first=splits[0])


def _path_of(file: str) -> Path:
    """Return the path of a list: as it was typed, else that of one that ships."""
    path, shipped = Path(file).expanduser(), SHIPPED / f"{Path(file).name}.txt"
    return shipped if not path.exists() and shipped.is_file() else path


def _read(path: Path) -> list[str]:
    """Return the lines of a list that are neither empty nor comments."""
    with parsing(
        f"the split list {str(path)!r}",
        expected="UTF-8 text: a path, a file name or a class a line",
        hint="--split-list FILE, or --split-list train=FILE",
    ):
        text = read_text(path, LARGEST_LIST)
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise DatasetError(f"the split list {str(path)!r} is empty.", expected="a name a line")
    return lines


def _slots(ids: Sequence[str], split: str, path: Path, lines: Sequence[str]) -> list[int]:
    """Find the items of a split that lines name; they are taken in the order of the split.

    Raises:
        DatasetError: A line names no item, or several.
    """
    short: dict[str, int] = {}
    for place, name in enumerate(ids):
        for key in _names_of(name):
            short[key] = place if key not in short else TWICE
    found = [short.get(line, short.get(line.split()[0])) for line in map(_plain, lines)]
    wrong = [line for line, place in zip(lines, found, strict=True) if place in (None, TWICE)]
    if wrong:
        several = short.get(_plain(wrong[0])) == TWICE
        raise DatasetError(
            f"{len(wrong)} lines of {str(path)!r} name no one item of {split}.",
            expected=f"names such as {ids[0]!r}, or those of classes in every line",
            found=listed(wrong) + (", which several items are called" if several else ""),
            hint="a list of another split is given with its name: --split-list val=FILE",
        )
    return sorted({place for place in found if place is not None})


def _names_of(name: str) -> set[str]:
    """Return the names that stand for an item: its id, parts of that, each without suffix too."""
    path = PurePosixPath(name)
    paths = {path, PurePosixPath(*path.parts[1:]), PurePosixPath(path.name)}
    return {str(one) for whole in paths for one in (whole, whole.with_suffix("")) if whole.name}


def _plain(line: str) -> str:
    return line.replace("\\", "/").removeprefix("./")
