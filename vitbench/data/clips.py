"""Video clips and the label maps of their frames, and reading one of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vitbench.data.decode import decode, read_file
from vitbench.data.kinds import part_of
from vitbench.data.label_images import read_label_image
from vitbench.errors import DatasetError, listed
from vitbench.records import DatasetInfo

VOID = 255
LATE_OBJECTS = "youtube-vos/"  # start of the name of a split whose objects may appear later
MASK_MODES = frozenset({"P", "L", "1"})

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Clip:
    """The frames of one video and the label maps that are known of them."""

    id: str
    frames: tuple[Path, ...]  # none where only masks are there to compare with
    masks: tuple[Path, ...]  # one a frame, or the first frame's alone
    height: int
    width: int
    objects: int  # the highest number in the first mask; in any mask if objects may enter later
    binary: bool = False  # files hold 0 and 255: one object
    enters: tuple[int, ...] = ()  # frame in which each object is given; left out: all in the first

    @property
    def annotated(self) -> bool:
        """Whether every frame has a mask, so that predictions can be scored."""
        return len(self.masks) >= len(self.frames)

    def entering(self, index: int) -> tuple[int, ...]:
        """Return the numbers of the objects that are given with the mask of a later frame."""
        return tuple(
            number for number, frame in enumerate(self.enters, start=1) if frame == index > 0
        )

    def frame(self, index: int) -> Pixels:
        """Read one frame, BGR as OpenCV decodes it, shape (H, W, 3)."""
        return read_frame(self.frames[index])

    def mask(self, index: int) -> Pixels:
        """Read one label map, shape (H, W); 255 is void."""
        return read_labels(self.masks[index], binary=self.binary)


class ClipDataset:
    """The clips of one split, in the order of its list."""

    shared_files: Sequence[Path] = ()
    class_names: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __init__(self, info: DatasetInfo, clips: Sequence[Clip]) -> None:
        self.info = info
        self.ids = [clip.id for clip in clips]
        self._clips = tuple(clips)

    def image_files(self, index: int) -> tuple[Path, ...]:
        """Return the frames of one clip."""
        return self._clips[index].frames

    def label_files(self, index: int) -> tuple[Path, ...]:
        """Return the label maps of one clip."""
        return self._clips[index].masks

    def subset(self, indices: Sequence[int]) -> Self:
        """Return some clips, in the order given."""
        info = part_of(self.info, len(indices))
        return type(self)(info, [self._clips[index] for index in indices])

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Clip:
        return self._clips[index]


def read_frame(path: Path) -> Pixels:
    """Read a video frame, BGR, shape (H, W, 3): the pixels that every other reader decodes.

    Raises:
        CorruptImage: The file is no image, is broken, or can't become 8-bit color.
    """
    import cv2

    frame = cv2.cvtColor(decode(str(path), read_file(path)), cv2.COLOR_RGB2BGR)
    return frame.astype(np.uint8, copy=False)


def read_labels(path: Path, *, binary: bool = False) -> Pixels:
    """Read a label map, shape (H, W): the indices of a palette image, never its colors.

    Args:
        path: A single-channel PNG.
        binary: The file holds 0 and 255, or 0 and 1; both become 0 and 1.

    Raises:
        DatasetError: The file is missing, broken, has colors or 16 bits instead of object numbers,
            or is not binary.
    """
    mode, found = read_label_image(path)
    if mode not in MASK_MODES:
        deep = mode.startswith("I")
        raise DatasetError(
            f"the mask {str(path)!r} is no label map.",
            expected="a palette or grayscale PNG whose pixels are object numbers",
            found=f"an image of mode {mode}: {'16 bits' if deep else 'colors'}, not numbers up to"
            f" {VOID}",
            hint="save it as a palette PNG",
        )
    labels: Pixels = found.astype(np.uint8)
    if not binary:
        return labels
    top = labels.max(initial=0)
    if top not in (0, 1, VOID) or not np.isin(labels, (0, top)).all():
        values = np.unique(labels)
        raise DatasetError(
            f"the mask {str(path)!r} is not binary.",
            expected="0 and 255 only (or 0 and 1), as DAVIS-2016 has",
            found=f"{len(values)} values: {listed([str(value) for value in values.tolist()])}",
            hint="--year 2017 reads object numbers",
        )
    return (labels > 0).astype(np.uint8)


def palette() -> NDArray[np.uint8]:
    """Return the colors of the labels, RGB, shape (256, 3): PASCAL VOC's, as DAVIS uses them.

    The bits of a label, three at a time, are the bits of its color, highest first.
    """
    labels = np.arange(256, dtype=np.uint8)
    colors = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (labels >> channel & 1) << (7 - bit)
        labels >>= 3
    return colors


def frame_files(folder: Path) -> tuple[Path, ...]:
    """Return the frames in one clip's folder, in the order of their names: JPEG files, else PNG."""
    return _named(folder, "*.jpg") or _named(folder, "*.png")


def mask_files(folder: Path) -> tuple[Path, ...]:
    """Return the label maps of one clip's folder, in the order of their names."""
    return _named(folder, "*.png")


def _named(folder: Path, pattern: str) -> tuple[Path, ...]:
    """Return files in the order of their names; a leading dot is no data (Mac OS X adds `._`)."""
    return tuple(sorted(path for path in folder.glob(pattern) if not path.name.startswith(".")))


def unreadable(path: Path, expected: str, reason: str = "") -> DatasetError:
    """Make the error for a file that is missing or broken."""
    found = "no such file" if not path.exists() else reason or "a file that can't be decoded"
    return DatasetError(f"{str(path)!r} can't be read.", expected=expected, found=found)
