"""Read the classes of a split that lies in one flat folder, from the list published with it.

Understood are ImageNet's (Kaggle's `LOC_val_solution.csv`; the devkit's
`ILSVRC2012_validation_ground_truth.txt` with `meta.mat`) and Tiny ImageNet's `val_annotations.txt`.
"""

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

from vitbench.bounds import LARGEST_DOCUMENT, LARGEST_LIST
from vitbench.data.listing import image_names, is_image
from vitbench.errors import DatasetError, listed
from vitbench.outside_files import parsing, read_bytes, read_text

TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"
NUMBERED = re.compile(r"ILSVRC2012_val_(\d{8})")
KAGGLE_DEPTH = 3  # the list lies above ILSVRC/Data/CLS-LOC

Classes = Mapping[str, str]  # name of an image file, with or without its suffix -> class


@dataclass(frozen=True, slots=True)
class FlatLabels:
    """The class of every image of a split."""

    classes: Classes  # path below the folder of the split -> class
    files: Sequence[Path]  # that say them
    notes: Sequence[str] = ()


def find_flat_labels(root: Path, folder: Path) -> FlatLabels | None:
    """Read the list of classes of a split without class folders; None where there is no list.

    Args:
        root: The folder of the dataset.
        folder: The folder of the split.

    Raises:
        DatasetError: The list is broken, or does not name an image.
    """
    inside = folder / "images" if (folder / "images").is_dir() else folder
    if not any(is_image(path.name) for path in inside.iterdir()):
        return None
    for files, read in _lists(root, folder, tiny=inside != folder):
        what = f"the list of classes {str(files[0])!r}"
        with parsing(what, expected="the file as it was published"):
            said = read(files)
        return _matched(folder, inside, files, said)
    return None


def _lists(
    root: Path, folder: Path, *, tiny: bool
) -> Iterator[tuple[tuple[Path, ...], Callable[[Sequence[Path]], Classes]]]:
    """Yield the lists that are there, each with its reader."""
    near = (folder, root)
    for place in near:
        if (place / "val_annotations.txt").is_file():
            yield (place / "val_annotations.txt",), _tiny
    if tiny:
        return  # class folders, one of them called images
    for place in (*near, *list(root.parents)[:KAGGLE_DEPTH]):
        if (place / "LOC_val_solution.csv").is_file():
            yield (place / "LOC_val_solution.csv",), _kaggle
    for place in (*near, root.parent):
        for data in (place, place / "data", place / "ILSVRC2012_devkit_t12" / "data"):
            if (data / TRUTH).is_file() and (data / META).is_file():
                yield (data / TRUTH, data / META), _devkit


def _tiny(files: Sequence[Path]) -> Classes:
    rows = [line.split("\t") for line in _text(files[0]).splitlines() if line]
    return {row[0]: row[1] for row in rows}


def _kaggle(files: Sequence[Path]) -> Classes:
    rows = csv.DictReader(_text(files[0]).splitlines())
    return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}


def _devkit(files: Sequence[Path]) -> Classes:
    """Read the class number of each image, in their order; `meta.mat` names the numbers.

    Source: torchvision.datasets.imagenet, parse_devkit_archive.
    """
    from scipy.io import loadmat

    synsets = loadmat(BytesIO(read_bytes(files[1], LARGEST_DOCUMENT)), squeeze_me=True)["synsets"]
    names = {int(entry["ILSVRC2012_ID"]): str(entry["WNID"]) for entry in synsets}
    numbers = [int(line) for line in _text(files[0]).split()]
    return {
        f"ILSVRC2012_val_{place:08}": names[number] for place, number in enumerate(numbers, start=1)
    }


def _matched(folder: Path, inside: Path, files: Sequence[Path], said: Classes) -> FlatLabels:
    """Give each image its class.

    Raises:
        DatasetError: The list does not name an image.
    """
    prefix = "" if inside == folder else f"{inside.name}/"
    found = {f"{prefix}{name}": name for name in image_names(inside)}
    classes = {path: said.get(name) or said.get(_stem(name), "") for path, name in found.items()}
    unnamed = [path for path, name in classes.items() if not name]
    if unnamed:
        raise DatasetError(
            f"{str(files[0])!r} lacks the class of {len(unnamed)} images of {str(folder)!r}.",
            expected="a class for each image",
            found=f"{len(said)} names; without a class: {listed(unnamed)}",
            hint="remove the images that are not of this set, or take the list of these images",
        )
    absent = len(said) - len(classes)
    notes = [f"classes of {folder.name} are read from {files[0].name}"]
    if absent > 0:
        notes.append(f"{absent} images that {files[0].name} names are not there")
    return FlatLabels(classes, files, notes)


def _text(file: Path) -> str:
    return read_text(file, LARGEST_LIST)


def _stem(name: str) -> str:
    return PurePosixPath(name).stem
