"""PASCAL VOC's index maps: `JPEGImages/`, `SegmentationClass/`, `ImageSets/Segmentation/`.

Label 0 is the class background, 255 is void. Where the maps of SBD are there too
(`SegmentationClassAug/` and a list of them), they are what is trained on, as is usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.bounds import LARGEST_LIST
from vitbench.data.class_lists import ClassList, read_class_list
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.outside_files import A_NAME_A_LINE, AS_UTF8, parsing, read_text

VOID = 255
CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
MAPS, MORE_MAPS = "SegmentationClass", "SegmentationClassAug"
MORE_LISTS = ("train_aug.txt", "trainaug.txt")


@dataclass(frozen=True, slots=True)
class VocFiles:
    """The files of one split, image by image."""

    images: Sequence[Path]
    maps: Sequence[Path]
    classes: ClassList
    notes: Sequence[str] = ()


def is_voc(root: Path) -> bool:
    """Whether a folder has VOC's layout."""
    maps = any((root / name).is_dir() for name in (MAPS, MORE_MAPS))
    return maps and (root / "JPEGImages").is_dir()


def find_voc(root: Path, split: str) -> VocFiles:
    """Find the images of one split and their index maps.

    Raises:
        DatasetNotFound: There is no list of the split.
        DatasetError: The list can't be read, or names an image that is not there.
    """
    lists = root / "ImageSets" / "Segmentation"
    folder, source = root / MAPS, lists / f"{split}.txt"
    more = next((lists / name for name in MORE_LISTS if (lists / name).is_file()), None)
    notes = []
    if split == "train" and more is not None and (root / MORE_MAPS).is_dir():
        folder, source = root / MORE_MAPS, more
        notes.append(f"train is {more.name} with the maps of {MORE_MAPS}")
    elif not folder.is_dir():
        folder = root / MORE_MAPS
    if not source.is_file():
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of index maps.",
            expected=f"ImageSets/Segmentation/{split}.txt, a name a line",
            found=listed(sorted(path.name for path in lists.glob("*.txt"))),
        )
    names = _names(source)
    images = [root / "JPEGImages" / f"{name}.jpg" for name in names]
    maps = [folder / f"{name}.png" for name in names]
    missing = [path for pair in zip(images, maps, strict=True) for path in pair if not _is(path)]
    if missing:
        raise DatasetError(
            f"{len(missing)} files that {str(source)!r} names are not there.",
            expected=f"JPEGImages/NAME.jpg and {folder.name}/NAME.png for each name",
            found=listed([path.relative_to(root).as_posix() for path in missing]),
            hint="unpack the archive again",
        )
    said = read_class_list(root)
    classes = said if said.names else ClassList(dict(enumerate(CLASSES)), frozenset({VOID}))
    return VocFiles(images, maps, classes, notes)


def _names(source: Path) -> list[str]:
    """Read the names of a list; in lists of others they are paths: `/JPEGImages/x.jpg /…/x.png`."""
    with parsing(f"the list {str(source)!r}", expected=A_NAME_A_LINE, hint=AS_UTF8):
        lines = read_text(source, LARGEST_LIST).splitlines()
    names = [Path(line.split()[0]).name.removesuffix(".jpg") for line in lines if line.strip()]
    if not names:
        raise DatasetError(f"the list {str(source)!r} is empty.", expected="a name a line")
    return sorted(dict.fromkeys(names))


def _is(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False
