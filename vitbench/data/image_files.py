"""Folders of images for pretraining: ImageFolder, COCO's layout, or any folder of pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from vitbench.data.decode import decode, read_file
from vitbench.data.inside import follow_pointer
from vitbench.data.listing import SUFFIXES, image_names
from vitbench.data.sizes import Pixels
from vitbench.data.tar_files import Encoded
from vitbench.errors import DatasetError, DatasetNotFound

TRAIN_FOLDERS = (  # the first that is there holds the training images; else the folder itself
    "train2017",  # COCO
    "train2014",
    "train",  # ImageFolder
    "images/train2017",
    "images/train",
    "images/training",  # ADE20K
    "leftImg8bit/train",  # Cityscapes
    "JPEGImages/480p",  # DAVIS
    "JPEGImages",  # PASCAL VOC
)
TRAIN_LISTS = {  # which of them are for training, where one folder holds every split
    "JPEGImages/480p": ("2017/train.txt", "2016/train.txt"),  # names of clips
    "JPEGImages": ("Main/train.txt", "Segmentation/train.txt"),  # names of images
}
NOT_FOR_TRAINING = re.compile(  # folders of held-out images, or of labels stored as images
    r"(val|valid|validation|test|testing)(20\d\d)?|annotations?|labels?|masks?|gt|gtfine|gtcoarse"
    r"|ground_?truth|segmentations?|segmentation(class|object)|stuffthingmaps",
    re.IGNORECASE,
)


class Images(Protocol):
    """A set of images, read by position."""

    @property
    def root(self) -> Path:
        """The folder that holds them, and nothing else that is an image."""

    @property
    def ids(self) -> tuple[str, ...]:
        """A name for each image, equal on every machine."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Pixels:
        """Decode one image; raises CorruptImage."""

    def encoded(self, index: int) -> Encoded:
        """Return one image as it is stored, and its name for messages; raises CorruptImage."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Image files below one folder, in the order of their ids."""

    root: Path
    ids: tuple[str, ...]  # paths relative to the root, with forward slashes
    dataset: Path  # the folder of the dataset: the root, or above it

    def file(self, index: int) -> Path:
        """Return the file of one image."""
        return follow_pointer(self.root / self.ids[index], self.dataset)

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int) -> Pixels:
        """Decode one image.

        Raises:
            CorruptImage: The file can't be read, is broken, or can't become 8-bit RGB.
            DatasetError: The file is a text that points out of the dataset.
        """
        return decode(*self.encoded(index))

    def encoded(self, index: int) -> Encoded:
        """Return the path of one image and the bytes of its file; raises as `read` does."""
        path = self.file(index)
        return str(path), read_file(path)


def find_images(root: Path) -> ImageFiles:
    """List the training images of a folder: those of its training part, or all that lie in it.

    Raises:
        DatasetNotFound: There is no such folder, or no image in it.
        DatasetError: Held-out images or label maps can't be told from training images.
    """
    folder = train_folder(root)
    if not folder.is_dir():
        raise DatasetNotFound(f"no images at {str(folder)!r}.", found="no such folder")
    names = image_names(folder)
    if not names:
        raise DatasetNotFound(
            f"no images at {str(folder)!r}.",
            expected=f"files ending in {', '.join(sorted(SUFFIXES))}, at any depth",
            found=f"an empty folder, or only other files: {_first_files(folder)}",
            hint="unpack the images, or name the folder that holds them with --data",
        )
    if folder == root:
        _refuse_mixed(root, names)
    elif (root / "ImageSets").is_dir():
        names = _of_training_list(root, folder, names)
    return ImageFiles(folder, tuple(names), root)


def train_folder(root: Path) -> Path:
    """Return the folder of the training images: that of a known layout, else the folder itself."""
    return next((root / name for name in TRAIN_FOLDERS if (root / name).is_dir()), root)


def _of_training_list(root: Path, folder: Path, names: list[str]) -> list[str]:
    """Return the images that the training list of DAVIS or PASCAL VOC names; others: all.

    Raises:
        DatasetError: There is no such list, or nothing that it names is there.
    """
    lists = TRAIN_LISTS.get(folder.relative_to(root).as_posix())
    if lists is None:
        return names
    path = next((file for name in lists if (file := root / "ImageSets" / name).is_file()), None)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path else ()
    wanted = {line.split()[0] for line in lines if line.strip()}
    kept = [
        name for name in names if {PurePosixPath(name).parts[0], PurePosixPath(name).stem} & wanted
    ]
    if not kept:
        raise DatasetError(
            f"which images of {str(folder)!r} are for training is not known.",
            expected=f"ImageSets/{lists[0]}, with names of what lies there",
            found=f"{path.relative_to(root)}, which names nothing that is there"
            if path
            else "no such list; the folder holds the held-out images too",
            hint=f"get the list, or train on all of them on purpose: --data {str(folder)!r}",
        )
    return kept


def _refuse_mixed(root: Path, names: Sequence[str]) -> None:
    """Refuse a folder where some images seem to be held out, or to be labels.

    Raises:
        DatasetError: A folder in it has such a name.
    """
    for name in names:
        above = PurePosixPath(name).parts[:-1]
        bad = next((part for part in above if NOT_FOR_TRAINING.fullmatch(part)), None)
        if bad is not None:
            raise DatasetError(
                f"not all images of {str(root)!r} seem to be for training.",
                expected=f"training images alone, or one of the folders {', '.join(TRAIN_FOLDERS)}",
                found=f"a folder {bad!r}: {name}",
                hint="--data names the folder of the training images, or call that folder train",
            )


def _first_files(folder: Path) -> str:
    return ", ".join(sorted(path.name for path in folder.iterdir())[:3]) or "nothing"
