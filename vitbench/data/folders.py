"""Classification folders, `<root>/<split>/<class>/<image>`, as ImageNet and Imagenette have."""

import shlex
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from vitbench.data.dataset import Sample
from vitbench.data.decode import read_image
from vitbench.data.inside import follow_pointer
from vitbench.data.listing import folder_names, image_names, is_image
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.records import DatasetInfo

TRAIN = "train"  # the split whose folders number the classes
INTO_CLASSES = (  # reads the list of Kaggle's ImageNet: ImageId,class box class box …
    "move each image into the folder of its class, for example by a list of images and classes: "
    "tail -n +2 LOC_val_solution.csv | while IFS=', ' read -r image class _; do "
    "mkdir -p {folder}/$class && mv {folder}/$image{suffix} {folder}/$class/; done"
)


class FolderDataset:
    """Images in one folder a class.

    Items take turns over the classes (first of each, second of each, …), so that the first items
    are a fair sample.
    """

    shared_files: Sequence[Path] = ()

    def __init__(
        self,
        info: DatasetInfo,
        root: Path,
        items: Sequence[tuple[str, int]],
        class_names: Sequence[str],
    ) -> None:
        self.info = info
        self.ids = [name for name, _ in items]
        self.targets = [target for _, target in items]  # positions in `class_names`
        self.class_names = tuple(class_names)  # of all splits, those without an image here too
        self._root = root

    @property
    def files(self) -> list[Path]:
        """The file of every item."""
        return [self._file(index) for index in range(len(self))]

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of one image."""
        return (self._file(index),)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return nothing: the folder is the label, and a part of the id."""
        return ()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample[int]:
        return Sample(self.ids[index], read_image(self._file(index)), self.targets[index])

    def _file(self, index: int) -> Path:
        return follow_pointer(self._root / self.ids[index], self._root)


def open_folders(root: Path, split: str) -> FolderDataset:
    """Open one split of classification folders.

    Classes are numbered in the order of their names in `train/`, whatever the split; without a
    `train/`, in that of the split itself. A split other than `train` may lack classes.

    Raises:
        DatasetNotFound: The root has no folder of the split, or the split has no class folders.
        DatasetError: A class of `train` has no image, or a class of the split is not in `train`.
    """
    folder = root / split
    if not folder.is_dir():
        raise DatasetNotFound(
            f"{str(root)!r} has no {split!r} split.",
            expected=f"classification folders: {split}/<class>/<image>",
            found=listed(sorted(path.name for path in root.iterdir())),
            hint="--data names the folder that holds train/ and val/",
        )
    classes = folder_names(root / TRAIN if (root / TRAIN).is_dir() else folder)
    images = _images_of_classes(folder, classes)
    turns = zip_longest(
        *([(name, target) for name in found] for target, found in enumerate(images))
    )
    items = [(f"{split}/{item[0]}", item[1]) for turn in turns for item in turn if item]
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="classification",
        items=len(items),
        classes=len(classes),
    )
    return FolderDataset(info, root, items, classes)


def _images_of_classes(folder: Path, classes: Sequence[str]) -> list[list[str]]:
    """List the images of each class, by their paths below the folder of the split."""
    present = folder_names(folder)
    if not present:
        raise _no_class_folders(folder)
    unknown = sorted(set(present) - set(classes))
    if unknown:
        raise DatasetError(
            f"{str(folder)!r} has class folders that {TRAIN!r} lacks: {listed(unknown)}.",
            expected=f"some of the {len(classes)} class folders of {TRAIN}: {listed(classes)}",
            found=f"{len(present)} class folders, {len(unknown)} of them unknown",
            hint=f"name the folders as in {TRAIN}/, or give {TRAIN}/ the missing classes",
        )
    images = [
        [f"{name}/{image}" for image in image_names(folder / name)] if name in present else []
        for name in classes
    ]
    empty = [name for name, found in zip(classes, images, strict=True) if not found]
    if empty and (folder.name == TRAIN or len(empty) == len(classes)):
        raise DatasetError(
            f"class folder {empty[0]!r} of {str(folder)!r} holds no image.",
            expected="one folder a class, each with at least one image",
            found=f"{len(present)} class folders, {len(empty)} of them empty",
            hint="remove the empty folder, or put its images back",
        )
    return images


def _no_class_folders(folder: Path) -> DatasetNotFound:
    """Make the error for a split without class folders; ImageNet's val comes as such a split."""
    flat = sorted(path for path in folder.iterdir() if is_image(path.name))
    found, hint = "no folders", f"--data names the folder that holds {TRAIN}/ and val/, unpacked"
    if flat:
        found = f"{len(flat)} images without a class, {flat[0].name} first"
        hint = INTO_CLASSES.format(folder=shlex.quote(str(folder)), suffix=flat[0].suffix)
    return DatasetNotFound(
        f"{str(folder)!r} has no class folders.",
        expected=f"one folder a class: {folder.name}/<class>/<image>",
        found=found,
        hint=hint,
    )
