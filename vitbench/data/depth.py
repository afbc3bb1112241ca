"""Images with the depth of every pixel (kind `depth`): NYUv2 as lists of files, or two folders.

    nyu_train.txt, nyu_test.txt                 a line each: IMAGE DEPTH (what follows is not read)
    train|val/images/NAME and train|val/depth/NAME.png

A depth map is a PNG of 16 bits in millimeters, as large as its image; 0 is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitbench.data.coco_files import check_size
from vitbench.data.dataset import Reader
from vitbench.data.decode import read_file, read_image
from vitbench.data.kinds import Sample, part_of
from vitbench.data.label_images import read_label_image
from vitbench.data.listing import image_names
from vitbench.data.split_folders import names_of, split_folder
from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.png import write_png
from vitbench.errors import DatasetError, DatasetNotFound, listed
from vitbench.records import DatasetInfo

MILLIMETERS = 1000
LARGEST = 1 << 24  # bytes of a list

Meters = NDArray[np.float32]  # (H, W); 0 is not known


@dataclass(frozen=True, slots=True)
class DepthMaps:
    """Images and their depth maps, in the order of their list or names."""

    info: DatasetInfo
    root: Path
    images: Sequence[str]  # paths below the root
    maps: Sequence[str]
    notes: Sequence[str] = ()
    class_names: Sequence[str] = ()
    shared_files: Sequence[Path] = ()

    @property
    def ids(self) -> Sequence[str]:
        """The paths of the images."""
        return self.images

    def image_files(self, index: int) -> Sequence[Path]:
        """Return the file of an image."""
        return (self.root / self.images[index],)

    def label_files(self, index: int) -> Sequence[Path]:
        """Return the file of a depth map."""
        return (self.root / self.maps[index],)

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return the path and the bytes of an image."""
        path = self.root / self.images[index]
        return str(path), read_file(path)

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items, in the order given."""
        return replace(
            self,
            info=part_of(self.info, len(indices)),
            images=[self.images[index] for index in indices],
            maps=[self.maps[index] for index in indices],
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample[Meters]:
        image, depth = read_image(self.root / self.images[index]), self.target(index)
        check_size(self.root / self.maps[index], (depth.shape[1], depth.shape[0]), image.size)
        return Sample(self.ids[index], image, depth)

    def target(self, index: int) -> Meters:
        """Return the depth of one image in meters, (H, W); 0 is not known."""
        path = self.root / self.maps[index]
        mode, found = read_label_image(path)
        if not mode.startswith("I"):
            raise DatasetError(
                f"the depth map {str(path)!r} has no 16 bits.",
                expected="a PNG of 16 bits in millimeters",
                found=f"mode {mode}",
                hint="convert the maps: 1000 times the meters, as unsigned 16-bit PNG",
            )
        depth: Meters = (found / MILLIMETERS).astype(np.float32)
        return depth


def open_depth(root: Path, split: str) -> DepthMaps:
    """Open one split of images with depth maps.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: A list can't be read, or an image or depth map is missing.
    """
    lists = [root / name for word in names_of(split) for name in (f"nyu_{word}.txt", f"{word}.txt")]
    path = next(filter(Path.is_file, lists), None)
    pairs = _listed(path) if path else _in_folders(root, split)
    missing = [name for pair in pairs for name in pair if not (root / name).is_file()]
    if missing or not pairs:
        raise DatasetError(
            f"{split!r} of {str(root)!r} names files that are not there.",
            expected="an image and a depth map for each item",
            found=listed(missing) if missing else "no item at all",
            hint="unpack all of the data set, or take the missing items out of the list",
        )
    info = DatasetInfo(
        name=root.name, split=split, kind="depth", items=len(pairs), item_noun="images"
    )
    return DepthMaps(info, root, [image for image, _ in pairs], [depth for _, depth in pairs])


def _listed(path: Path) -> list[tuple[str, str]]:
    """Read a list of images and depth maps; a leading slash stands for the folder of the list."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        return [(_below(row[0]), _below(row[1])) for row in rows if row]
    except (OSError, ValueError, IndexError) as error:
        raise DatasetError(
            f"the list {str(path)!r} can't be read.",
            expected="a line each: path of the image, path of the depth map",
            found=f"{type(error).__name__}: {error}",
        ) from error


def _below(name: str) -> str:
    path = PurePosixPath(name.lstrip("/"))
    if ".." in path.parts:
        raise ValueError(f"{name!r} leads out of the folder")
    return str(path)


def _in_folders(root: Path, split: str) -> list[tuple[str, str]]:
    folder = split_folder(root, split)
    if folder is None or not (folder / "images").is_dir():
        raise DatasetNotFound(
            f"{str(root)!r} has no split {split!r} of depth maps.",
            expected=f"nyu_{split}.txt, or {split}/images/ and {split}/depth/",
            found=listed(sorted(path.name for path in root.iterdir())),
        )
    return [
        (
            f"{folder.name}/images/{name}",
            f"{folder.name}/depth/{PurePosixPath(name).with_suffix('.png')}",
        )
        for name in image_names(folder / "images")
    ]


def write_demo(root: Path) -> None:
    """Write floors and walls: the farther a pixel, the darker it is; no wall is like another."""
    rows, columns = np.mgrid[0:64, 0:80]
    for part, (split, count) in enumerate((("train", 24), ("val", 12))):
        for number in range(count):
            draws = Draws(10, part, number)
            down, right = draws.integer(-20, 20), draws.integer(-20, 20)
            depth = 3500 + 50 * (down * (rows - 32) + right * (columns - 40)) // 16
            top, left = draws.integer(0, 40), draws.integer(0, 50)
            depth[top : top + 24, left : left + 30] = draws.integer(1000, 6000)
            light = np.clip(255 - depth // 28, 0, 255)
            tint = np.array([draws.integer(-20, 20) for _ in range(3)])
            pixels = np.clip(light[..., None] + tint, 0, 255).astype(np.uint8)
            depth[0] = 0  # not known
            write_png(root / split / "images" / f"{number:03}.png", pixels)
            write_png(root / split / "depth" / f"{number:03}.png", depth.astype(np.uint16))


READER = Reader(
    open_depth,
    write_demo,
    layout=(
        "nyu_train.txt and nyu_test.txt, a line each: IMAGE DEPTH, as the lists of BTS for NYUv2",
        "train/images/NAME.jpg and train/depth/NAME.png, val likewise: 16 bits, millimeters",
    ),
)
