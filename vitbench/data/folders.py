"""Classification folders, `<root>/<split>/<class>/<image>`, as ImageNet and Imagenette have."""

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vitbench.data.dataset import Sample
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.records import DatasetInfo

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})


class FolderDataset:
    """Images in one folder a class.

    Items take turns over the classes (first of each, second of each, …), so that the first items
    are a fair sample. Classes are numbered in the order of their names.
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
        self.class_names = tuple(class_names)  # in the order of their numbers
        self.ids = [name for name, _ in items]
        self.targets = [target for _, target in items]
        self._root = root

    @property
    def files(self) -> list[Path]:
        """The file of every item."""
        return [self._root / name for name in self.ids]

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the file of one image."""
        return (self._root / self.ids[index],)

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return nothing: the folder is the label, and a part of the id."""
        return ()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> Sample[int]:
        return Sample(
            self.ids[index], read_image(self._root / self.ids[index]), self.targets[index]
        )


def open_folders(root: Path, split: str) -> FolderDataset:
    """Open one split of classification folders.

    Raises:
        DatasetNotFound: The root has no folder of the split.
        DatasetError: It has no class folders, or one of them holds no image.
    """
    folder = root / split
    if not folder.is_dir():
        raise DatasetNotFound(
            f"{str(root)!r} has no {split!r} split.",
            expected=f"classification folders: {split}/<class>/<image>",
            found=f"{', '.join(sorted(path.name for path in root.iterdir())[:10]) or 'nothing'}",
            hint="--data names the folder that holds train/ and val/",
        )
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    images = [
        sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        for folder in classes
    ]
    empty = [path.name for path, found in zip(classes, images, strict=True) if not found]
    if not classes or empty:
        raise DatasetError(
            f"{str(folder)!r} has no class folders."
            if not classes
            else f"class folder {empty[0]!r} of {str(folder)!r} holds no image.",
            expected="one folder a class, each with at least one image",
            found=f"{len(classes)} class folders, {len(empty)} of them empty",
            hint="remove the empty folder, or put its images back",
        )
    turns = zip_longest(
        *([(path, target) for path in found] for target, found in enumerate(images))
    )
    items = [
        (item[0].relative_to(root).as_posix(), item[1]) for turn in turns for item in turn if item
    ]
    info = DatasetInfo(
        name=root.name,
        split=split,
        kind="classification",
        items=len(items),
        classes=len(classes),
    )
    return FolderDataset(info, root, items, [path.name for path in classes])


def read_image(path: Path) -> Image.Image:
    """Read an image file as RGB.

    Raises:
        DatasetError: The file is no image, or broken; it is named.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise DatasetError(
            f"the image {str(path)!r} can't be read.",
            expected="a whole image file",
            found=str(error) or type(error).__name__,
            hint="restore the file, or leave it out with --skip-corrupt N",
        ) from error
