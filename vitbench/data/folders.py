"""Classification folders, `<root>/<split>/<class>/<image>`, as ImageNet and Imagenette have."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.data.classified import (
    TRAIN,
    ClassifiedImages,
    check_classes,
    classified,
    turn_order,
)
from vitbench.data.decode import read_file
from vitbench.data.flat_labels import FlatLabels, find_flat_labels
from vitbench.data.inside import follow_pointer
from vitbench.data.listing import folder_names, image_names, is_image
from vitbench.data.split_folders import alias_notes, names_of, split_folder
from vitbench.errors import DatasetError, DatasetNotFound, listed

INTO_CLASSES = (  # reads the list of Kaggle's ImageNet: ImageId,class box class box …
    "put LOC_val_solution.csv or the unpacked devkit beside {folder}, or move each image into the "
    "folder of its class"
)


@dataclass(frozen=True, slots=True)
class FileStore:
    """Image files below one folder: a `Store`."""

    root: Path
    names: Sequence[str]  # paths relative to the root, with forward slashes
    holds_labels: bool = False

    def file(self, place: int) -> Path:
        """Return the file of an image."""
        return follow_pointer(self.root / self.names[place], self.root)

    def read(self, place: int) -> tuple[str, bytes]:
        """Return the path and the bytes of an image."""
        path = self.file(place)
        return str(path), read_file(path)


def open_folders(root: Path, split: str) -> ClassifiedImages:
    """Open one split of classification folders.

    Classes are numbered in the order of their names in `train/`, whatever the split; without a
    `train/`, in that of the split itself. A split other than `train` may lack classes. A split
    without class folders is read with the list of its classes that was published with it.

    Raises:
        DatasetNotFound: The root has no folder of the split, or the split has no class folders.
        DatasetError: A class of `train` has no image, or a class of the split is not in `train`.
    """
    folder = split_folder(root, split)
    if folder is None:
        raise DatasetNotFound(
            f"{str(root)!r} has no {split!r} split.",
            expected=f"classification folders: {split}/<class>/<image>"
            f" ({', '.join(f'{name}/' for name in names_of(split))})",
            found=listed(sorted(path.name for path in root.iterdir())),
            hint="--data names the folder that holds train/ and val/",
        )
    known = folder_names(root / TRAIN) if (root / TRAIN).is_dir() else []
    return open_class_folders(root, folder, split, known)


def open_class_folders(
    root: Path, folder: Path, split: str, known: Sequence[str] = ()
) -> ClassifiedImages:
    """Open the class folders of one split.

    Args:
        root: The folder of the dataset.
        folder: That of the split, below it.
        split: As it was asked for.
        known: The classes in their order; none: those of the folder.

    Raises:
        DatasetNotFound: There are no class folders.
        DatasetError: A class has no image, or is not known.
    """
    flat = find_flat_labels(root, folder)
    if flat is None:
        classes = known or folder_names(folder)
        images = _images_of_classes(folder, classes)
    else:
        classes = known or sorted(set(flat.classes.values()))
        images = _images_of_list(flat, classes)
    paths = [path for of in images for path in of]
    targets = [number for number, of in enumerate(images) for _ in of]
    order = turn_order(targets)
    ids = [f"{folder.name}/{paths[place]}" for place in order]
    return classified(
        root,
        split,
        FileStore(root, ids),
        (ids, [targets[place] for place in order], range(len(ids))),
        classes,
        shared_files=flat.files if flat else (),
        notes=(*alias_notes(split, folder.name), *(flat.notes if flat else ())),
    )


def _images_of_classes(folder: Path, classes: Sequence[str]) -> list[list[str]]:
    """List the images of each class, by their paths below the folder of the split."""
    present = folder_names(folder)
    if not present:
        raise _no_class_folders(folder)
    check_classes(repr(str(folder)), present, classes)
    of_class: dict[str, list[str]] = {name: [] for name in classes}
    for path in image_names(folder):
        name, _, image = path.partition("/")
        if image and name in of_class:  # not beside the folders of the classes
            of_class[name].append(path)
    images = list(of_class.values())
    empty = [name for name, found in zip(classes, images, strict=True) if not found]
    if empty and (folder.name == TRAIN or len(empty) == len(classes)):
        raise DatasetError(
            f"class folder {empty[0]!r} of {str(folder)!r} holds no image.",
            expected="one folder a class, each with at least one image",
            found=f"{len(present)} class folders, {len(empty)} of them empty",
            hint="remove the empty folder, or put its images back",
        )
    return images


def _images_of_list(flat: FlatLabels, classes: Sequence[str]) -> list[list[str]]:
    """List the images of each class as a list of labels says them."""
    check_classes(repr(str(flat.files[0])), flat.classes.values(), classes)
    images: dict[str, list[str]] = {name: [] for name in classes}
    for image, name in sorted(flat.classes.items()):
        images[name].append(image)
    return list(images.values())


def _no_class_folders(folder: Path) -> DatasetNotFound:
    """Make the error for a split without class folders; ImageNet's val comes as such a split."""
    flat = sorted(path for path in folder.iterdir() if is_image(path.name))
    found, hint = "no folders", f"--data names the folder that holds {TRAIN}/ and val/, unpacked"
    if flat:
        found = f"{len(flat)} images without a class, {flat[0].name} first"
        hint = INTO_CLASSES.format(folder=shlex.quote(str(folder)))
    return DatasetNotFound(
        f"{str(folder)!r} has no class folders.",
        expected=f"one folder a class: {folder.name}/<class>/<image>",
        found=found,
        hint=hint,
    )
