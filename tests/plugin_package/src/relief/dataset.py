"""Images with a depth map each: `<split>/images/NAME.png` and `<split>/depth/NAME.png`.

A depth map is a PNG of 16 bits in millimeters, as large as its image; 0 is not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.api import DatasetInfo, Reader, Sample
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.kit import part_of, read_file, read_image, read_label_image

MILLIMETERS = 1000

Depth = NDArray[np.float32]  # (H, W), meters; 0 is not known


@dataclass(frozen=True, slots=True)
class ReliefDataset:
    """Images with their depth, sorted by name."""

    info: DatasetInfo
    folder: Path  # of the split
    names: Sequence[str]
    notes: Sequence[str] = ()
    class_names: Sequence[str] = ()
    shared_files: Sequence[Path] = ()

    @property
    def ids(self) -> Sequence[str]:
        """The names, with their split."""
        return [f"{self.info.split}/{name}" for name in self.names]

    def image_files(self, index: int) -> Sequence[Path]:
        """Return the file of an image."""
        return (self.folder / "images" / self.names[index],)

    def label_files(self, index: int) -> Sequence[Path]:
        """Return the file of a depth map."""
        return (self.folder / "depth" / self.names[index],)

    def encoded(self, index: int) -> tuple[str, bytes]:
        """Return an image as it is stored."""
        (path,) = self.image_files(index)
        return str(path), read_file(path)

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some items."""
        info = part_of(self.info, len(indices))
        return replace(self, info=info, names=[self.names[index] for index in indices])

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample[Depth]:
        (path,) = self.image_files(index)
        return Sample(self.ids[index], read_image(path), self.target(index))

    def target(self, index: int) -> Depth:
        """Return the depth of one image in meters."""
        (path,) = self.label_files(index)
        mode, found = read_label_image(path)
        if not mode.startswith("I"):
            raise DatasetError(
                f"the depth map {str(path)!r} has no 16 bits.",
                expected="millimeters in a 16-bit PNG",
                found=f"mode {mode}",
            )
        depth: NDArray[np.float32] = (found / MILLIMETERS).astype(np.float32)
        return depth


def open_relief(root: Path, split: str) -> ReliefDataset:
    """Open one split of images with depth maps.

    Raises:
        DatasetNotFound: There is no such split.
        DatasetError: An image has no depth map.
    """
    images, depth = root / split / "images", root / split / "depth"
    if not images.is_dir() or not depth.is_dir():
        raise DatasetNotFound(
            f"{str(root)!r} has no depth maps of the split {split!r}.",
            expected=f"{split}/images/ and {split}/depth/",
        )
    names = sorted(path.name for path in images.glob("*.png"))
    alone = [name for name in names if not (depth / name).is_file()]
    if alone or not names:
        raise DatasetError(f"{str(images)!r} has images without a depth map.", found=str(alone[:3]))
    info = DatasetInfo(
        name=root.name, split=split, kind="relief", items=len(names), item_noun="depth maps"
    )
    return ReliefDataset(info, root / split, names)


def write_demo(root: Path) -> None:
    """Write a few slopes: the farther a pixel, the darker it is."""
    rows, columns = np.mgrid[0:64, 0:64]
    for split, count in (("train", 12), ("val", 8)):
        for part in ("images", "depth"):
            (root / split / part).mkdir(parents=True)
        for number in range(count):
            draws = np.random.default_rng((len(split), number))
            slope = draws.uniform(0.5, 1.5, size=2)
            meters = 1 + (slope[0] * rows + slope[1] * columns) / 64
            light = np.clip(255 - 60 * meters[..., None] + draws.normal(0, 3, (64, 64, 3)), 0, 255)
            Image.fromarray(light.astype(np.uint8)).save(root / split / "images" / f"{number}.png")
            deep = Image.fromarray((MILLIMETERS * meters).astype(np.uint16))
            deep.save(root / split / "depth" / f"{number}.png")


READER = Reader(open_relief, write_demo)
