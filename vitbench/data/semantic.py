"""Index maps in ADE20K's layout: `images/` and `annotations/`, each `training|validation/`."""

import csv
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vitbench.data.coco import check_size
from vitbench.data.dataset import Sample, fingerprint
from vitbench.data.folders import SUFFIXES, read_image
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.records import DatasetInfo

FOLDERS = {"train": "training", "val": "validation"}
UNLABELLED, IGNORED = 0, 255
LINK_BYTES = 512  # the longest path that is looked for in a file
COUNTABLE = 1 << 16  # labels below this are counted, which is faster than sorting them
INDEX_MODES = frozenset({"L", "P", "I", "I;16"})


class SemanticDataset:
    """Images with a label for every pixel, sorted by name.

    Labels are the file's: 0 is unlabelled, 1 to C are classes.
    """

    def __init__(
        self,
        info: DatasetInfo,
        files: Sequence[Path],
        maps: Sequence[Path],
        classes: Mapping[int, str],
        class_file: Path | None = None,
    ) -> None:
        self.info = info
        self.categories = classes  # label -> name; empty where no file says
        self.files, self.maps = list(files), list(maps)
        self.annotation_files = [*maps, *([class_file] if class_file else [])]
        self.ids = [path.name for path in self.files]

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample[NDArray[np.int32]]:
        image, target = read_image(self.files[index]), self.target(index)
        check_size(self.maps[index], (target.shape[1], target.shape[0]), image.size)
        return Sample(self.ids[index], image, target)

    def target(self, index: int) -> NDArray[np.int32]:
        """Return the labels of one image without reading the image, shape (H, W).

        Raises:
            DatasetError: The file is broken, no index map, or has labels above the class count.
        """
        path = self.maps[index]
        labels = read_index_map(path)
        if self.categories:
            if IGNORED not in self.categories:
                labels[labels == IGNORED] = UNLABELLED
            unknown = sorted({*labels_in(labels)} - {UNLABELLED, *self.categories})
            if unknown:
                raise DatasetError(
                    f"the label file {str(path)!r} has labels that are no class.",
                    expected=f"labels among the {len(self.categories)} classes, 0 for none",
                    found=listed([str(label) for label in unknown]),
                    hint="use the labels that the class list was made for",
                )
        return labels


def open_semantic(root: Path, split: str) -> SemanticDataset:
    """Open one split of a folder in ADE20K's layout.

    Raises:
        DatasetNotFound: The root has no such folders.
        DatasetError: Images and label files are not in pairs, or it is the full ADE20K.
    """
    _refuse_full_ade20k(root)
    images, annotations = (root / part / FOLDERS[split] for part in ("images", "annotations"))
    if not images.is_dir() or not annotations.is_dir():
        raise DatasetNotFound(
            f"{str(root)!r} has no index maps of the split {split!r}.",
            expected=f"images/{FOLDERS[split]}/ and annotations/{FOLDERS[split]}/",
            found=listed(sorted(path.name for path in root.iterdir())),
            hint="--data names the folder that holds images/ and annotations/",
        )
    found = {path.stem: path for path in images.iterdir() if path.suffix.lower() in SUFFIXES}
    maps = {path.stem: path for path in annotations.iterdir() if path.suffix.lower() == ".png"}
    alone = sorted(set(found) ^ set(maps))
    if alone or not found:
        raise DatasetError(
            f"images and label files of {str(root)!r} ({split}) are not in pairs.",
            expected="for each images/…/NAME.jpg an annotations/…/NAME.png",
            found=f"{len(found)} images, {len(maps)} label files; without the other: "
            + listed(alone),
            hint="add what is missing, or remove what has no partner",
        )
    names = sorted(found)
    classes = read_classes(root)
    files = [_follow(found[name]) for name in names]
    labels = [maps[name] for name in names]
    marks = [
        (found[name].name, file.stat().st_size) for name, file in zip(names, files, strict=True)
    ]
    marks += [(hashlib.sha256(path.read_bytes()).hexdigest(), 0) for path in labels]
    marks += [(f"class {label}", 0) for label in sorted(classes)]
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="semantic",
        items=len(names),
        classes=len(classes) or None,
        fingerprint=fingerprint(marks),
    )
    return SemanticDataset(info, files, labels, classes, class_file(root))


def _refuse_full_ade20k(root: Path) -> None:
    """Recognise the other data set of that name by its index file or its color files."""
    index = sorted(root.glob("index_ade20k.*"))
    colors = next((root / "images").glob("**/*_seg.png"), None) if not index else index[0]
    if colors is not None:
        raise DatasetError(
            f"{str(root)!r} is the full ADE20K, which this benchmark is not scored on.",
            expected="SceneParsing-150 (ADEChallengeData2016): 150 classes, a one-channel file an"
            " image under annotations/",
            found=f"{colors.relative_to(root).as_posix()}: thousands of classes, coded in colors",
            hint="unpack ADEChallengeData2016.zip and give its folder",
        )


def _follow(path: Path) -> Path:
    """Return the image that a link stands for, where a checkout wrote the link as a text file."""
    if path.stat().st_size > LINK_BYTES:
        return path
    target = path.parent / path.read_bytes().decode("ascii", errors="replace").strip()
    return target if target.suffix.lower() in SUFFIXES and target.is_file() else path


def read_index_map(path: Path) -> NDArray[np.int32]:
    """Read a label file, shape (H, W).

    Raises:
        DatasetError: It is broken, or holds colors instead of indices.
    """
    try:
        with Image.open(path) as image:
            mode, labels = image.mode, np.array(image)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"the label file {str(path)!r} can't be read.",
            expected="a whole PNG",
            found=str(error) or type(error).__name__,
            hint="restore the file",
        ) from error
    if mode not in INDEX_MODES:
        raise DatasetError(
            f"the label file {str(path)!r} holds colors, not class indices.",
            expected="one channel, each pixel its class (SceneParse150's form of ADE20K)",
            found=f"mode {mode!r}",
            hint="the full ADE20K has color files; take ADEChallengeData2016, or convert them",
        )
    return labels.astype(np.int32)


def labels_in(labels: NDArray[np.int32]) -> list[int]:
    """Return the labels that occur in a map, sorted."""
    if labels.max(initial=0) < COUNTABLE:
        return np.flatnonzero(np.bincount(labels.ravel())).tolist()
    return np.unique(labels).tolist()  # type: ignore[no-any-return]


def class_file(root: Path) -> Path | None:
    """Return the file that says the class names, where there is one."""
    return next((root / name for name in CLASS_FILES if (root / name).is_file()), None)


def read_classes(root: Path) -> dict[int, str]:
    """Read the class names (label -> name) from the file that says them; none is an empty dict.

    Understood are `objectInfo150.csv` and `.txt` (ADE20K), `classes.yaml` (a mapping `classes`)
    and `classes.txt` (a name a line, from label 1).

    Raises:
        DatasetError: The file is there but not of its form.
    """
    path = class_file(root)
    if path is None:
        return {}
    try:
        return CLASS_FILES[path.name](path.read_text(encoding="utf-8"))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"the class file {str(path)!r} can't be read.",
            expected="columns Idx and Name, a mapping `classes`, or a name a line",
            found=f"{type(error).__name__}: {error}",
            hint="restore the file, or write classes.txt",
        ) from error


def _from_csv(text: str) -> dict[int, str]:
    return {int(row["Idx"]): row["Name"].strip() for row in csv.DictReader(text.splitlines())}


def _from_tabs(text: str) -> dict[int, str]:
    rows = csv.DictReader(text.splitlines(), delimiter="\t", skipinitialspace=True)
    return {int(row["Idx"]): row["Name"].strip() for row in rows}


def _from_yaml(text: str) -> dict[int, str]:
    import yaml

    try:
        named = yaml.safe_load(text)["classes"]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    return {int(label): str(name) for label, name in named.items() if int(label) != UNLABELLED}


def _from_lines(text: str) -> dict[int, str]:
    return dict(enumerate(filter(None, map(str.strip, text.splitlines())), start=1))


CLASS_FILES: dict[str, Callable[[str], dict[int, str]]] = {
    "objectInfo150.csv": _from_csv,
    "objectInfo150.txt": _from_tabs,
    "classes.yaml": _from_yaml,
    "classes.txt": _from_lines,
}
