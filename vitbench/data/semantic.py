"""Index maps in ADE20K's layout, `images|annotations/training|validation/`, or PASCAL VOC's."""

from collections.abc import Container, Iterable, Sequence
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitbench.bounds import HIGHEST_LABEL
from vitbench.data.class_lists import ClassList, read_class_list
from vitbench.data.coco_files import check_size
from vitbench.data.dataset import Reader
from vitbench.data.decode import read_file, read_image
from vitbench.data.inside import follow_pointer
from vitbench.data.kinds import Sample, part_of
from vitbench.data.label_images import read_label_image
from vitbench.data.label_maps import labels_in
from vitbench.data.listing import SUFFIXES
from vitbench.data.voc import find_voc, is_voc
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.records import DatasetInfo

FOLDERS = {"train": "training", "val": "validation"}
UNLABELED, IGNORED = 0, 255
INDEX_MODES = frozenset({"1", "L", "P", "I", "I;16", "I;16B"})


class SemanticDataset:
    """Images with a label for every pixel, sorted by name.

    An item's target holds the labels as the file has them; which of them are classes is said by
    `categories` and `void`, or by who asks.
    """

    shared_files: Sequence[Path] = ()

    def __init__(
        self,
        info: DatasetInfo,
        files: Sequence[Path],
        maps: Sequence[Path],
        classes: ClassList,
        notes: Sequence[str] = (),
    ) -> None:
        self.info = info
        self.notes = tuple(notes)
        self.categories = classes.names  # label -> name; empty where no file says
        self.void = classes.void  # labels that the class file calls unlabeled or void
        self.files, self.maps = list(files), list(maps)
        self.class_names = [
            *(f"{label} {name}" for label, name in sorted(classes.names.items())),
            *(f"{label} is no class" for label in sorted(classes.void)),
        ]
        self.ids = [path.name for path in self.files]

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of one image."""
        return (self.files[index],)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of one label map."""
        return (self.maps[index],)

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return the path and the bytes of one image."""
        return str(self.files[index]), read_file(self.files[index])

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given."""
        part = copy(self)
        part.info = part_of(self.info, len(indices))
        part.files = [self.files[index] for index in indices]
        part.maps = [self.maps[index] for index in indices]
        part.ids = [self.ids[index] for index in indices]
        return part

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Sample[NDArray[np.int32]]:
        image, labels = read_image(self.files[index]), read_index_map(self.maps[index])
        check_size(self.maps[index], (labels.shape[1], labels.shape[0]), image.size)
        return Sample(self.ids[index], image, labels)

    def target(self, index: int) -> NDArray[np.int32]:
        """Return the labels of one image without reading the image, shape (H, W).

        What the class file knows as no class is 0: 255, and what it calls unlabeled or void.

        Raises:
            DatasetError: The file is broken, no index map, or has labels above the class count.
        """
        path = self.maps[index]
        labels = read_index_map(path)
        if self.categories:
            none = {*self.void, IGNORED} - {*self.categories}
            unknown = sorted({*labels_in(labels)} - {UNLABELED, *none, *self.categories})
            if unknown:
                raise DatasetError(
                    f"the label file {str(path)!r} has labels that are no class.",
                    expected=f"labels among the {len(self.categories)} classes, 0 for none",
                    found=listed([str(label) for label in unknown]),
                    hint="use the labels that the class list was made for",
                )
            labels[np.isin(labels, list(none))] = UNLABELED
        return labels


def open_semantic(root: Path, split: str) -> SemanticDataset:
    """Open one split of a folder in ADE20K's layout, or in VOC's.

    Raises:
        DatasetNotFound: The root has no such folders.
        DatasetError: Images and label files are not in pairs, or it is the full ADE20K.
    """
    if is_voc(root):
        voc = find_voc(root, split)
        info = _info(root, split, len(voc.images), voc.classes)
        return SemanticDataset(info, voc.images, voc.maps, voc.classes, voc.notes)
    _refuse_full_ade20k(root)
    images, annotations = (root / part / FOLDERS[split] for part in ("images", "annotations"))
    if not images.is_dir() or not annotations.is_dir():
        raise DatasetNotFound(
            f"{str(root)!r} has no index maps of the split {split!r}.",
            expected=f"images/{FOLDERS[split]}/ and annotations/{FOLDERS[split]}/, or"
            " JPEGImages/, SegmentationClass/ and ImageSets/Segmentation/",
            found=listed(sorted(path.name for path in root.iterdir())),
            hint="--data names the folder that holds images/ and annotations/",
        )
    found = by_stem(images.iterdir(), SUFFIXES)
    maps = by_stem(annotations.iterdir(), {".png"})
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
    classes = read_class_list(root)
    files = [follow_pointer(found[name], root) for name in names]
    labels = [follow_pointer(maps[name], root) for name in names]
    info = _info(root, split, len(names), classes)
    return SemanticDataset(info, files, labels, classes)


def _info(root: Path, split: str, items: int, classes: ClassList) -> DatasetInfo:
    return DatasetInfo(
        name=root.name,
        split=split,
        kind="semantic",
        items=items,
        classes=len(classes.names) or None,
        item_noun="images",
    )


READER = Reader(
    open_semantic,
    layout=(
        "images/training/NAME.jpg, images/validation/NAME.jpg, annotations/training/NAME.png and"
        " annotations/validation/NAME.png, as ADE20K",
        "JPEGImages/NAME.jpg, SegmentationClass/NAME.png and ImageSets/Segmentation/train.txt and"
        " val.txt, as PASCAL VOC",
    ),
)


def _refuse_full_ade20k(root: Path) -> None:
    """Recognize the other data set of that name by its index file or its color files."""
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


def by_stem(paths: Iterable[Path], suffixes: Container[str]) -> dict[str, Path]:
    """Return files by their names without suffix; names with a leading dot are no data.

    Raises:
        DatasetError: Two files have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(paths):
        if path.name.startswith(".") or path.suffix.lower() not in suffixes:
            continue
        if path.stem in found:
            raise DatasetError(
                f"two files are called {path.stem!r}: {str(found[path.stem])!r} and {str(path)!r}.",
                expected="one file a name",
                hint="remove one of them",
            )
        found[path.stem] = path
    return found


def read_index_map(path: Path) -> NDArray[np.int32]:
    """Read a label file, shape (H, W).

    Raises:
        DatasetError: It is broken, or holds colors instead of indices.
    """
    mode, found = read_label_image(path)
    if mode not in INDEX_MODES:
        raise DatasetError(
            f"the label file {str(path)!r} holds colors, not class indices.",
            expected="one channel, each pixel the number of its class (a palette is fine)",
            found=f"mode {mode!r}",
            hint="take the data set's index maps (SceneParse150's of ADE20K, *_labelTrainIds of"
            " Cityscapes), or turn each color into the number of its class",
        )
    labels = found.astype(np.int32)
    if labels.min(initial=0) < 0 or labels.max(initial=0) > HIGHEST_LABEL:
        raise DatasetError(
            f"the label file {str(path)!r} has numbers that are no labels.",
            expected=f"0 to {HIGHEST_LABEL}",
            found=f"{labels.min()} to {labels.max()}",
        )
    return labels
