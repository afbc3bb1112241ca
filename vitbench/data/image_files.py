"""Folders of images for pretraining: ImageFolder, COCO's layout, or any folder of pictures."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from vitbench.data.folders import SUFFIXES
from vitbench.errors import DatasetError, DatasetNotFound

TRAIN_FOLDERS = ("train2017", "train")  # COCO's, ImageFolder's; else the folder itself
END_OF_JPEG = b"\xff\xd9"
TAIL_BYTES = 64  # some writers pad after the end mark

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB


class CorruptImage(DatasetError):
    """A file that doesn't decode."""


class Images(Protocol):
    """A set of images, read by position."""

    @property
    def ids(self) -> tuple[str, ...]:
        """A name for each image, equal on every machine."""

    def __len__(self) -> int: ...

    def read(self, index: int) -> Pixels:
        """Decode one image; raises CorruptImage."""


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Image files below one folder, in the order of their ids."""

    root: Path
    ids: tuple[str, ...]  # paths relative to the root, with forward slashes

    def __len__(self) -> int:
        return len(self.ids)

    def read(self, index: int) -> Pixels:
        """Decode one image.

        Raises:
            CorruptImage: The file can't be read or doesn't decode.
        """
        path = self.root / self.ids[index]
        try:
            data = path.read_bytes()
        except OSError as error:
            raise CorruptImage(f"{path}: the file can't be read.", found=str(error)) from error
        return decode_named(str(path), data)


def find_images(root: Path) -> ImageFiles:
    """List the training images of a folder: `train2017/`, `train/`, or all that lies in it.

    Raises:
        DatasetNotFound: There is no such folder, or no image in it.
    """
    folder = next((root / name for name in TRAIN_FOLDERS if (root / name).is_dir()), root)
    ids = sorted(
        (Path(parent) / name).relative_to(folder).as_posix()
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES
    )
    if not ids:
        raise DatasetNotFound(
            f"no images at {str(folder)!r}.",
            expected=f"files ending in {', '.join(sorted(SUFFIXES))}, at any depth",
            found="an empty folder" if folder.is_dir() else "no such folder",
        )
    return ImageFiles(folder, tuple(ids))


def decode_named(name: str, data: bytes) -> Pixels:
    """Decode an image, naming it if it is broken.

    Raises:
        CorruptImage: It does not decode.
    """
    try:
        return decode(data)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CorruptImage(
            f"{name}: the image does not decode.",
            found=str(error),
            hint="replace the file, or let the run skip some with --skip-corrupt N",
        ) from error


def decode(data: bytes) -> Pixels:
    """Decode an image file to RGB pixels, exactly as PIL does.

    A complete grey or RGB JPEG goes through OpenCV: the same libjpeg-turbo pixels without PIL's
    copies, and without the interpreter's lock. A cut-off one is PIL's, which refuses it.

    Raises:
        OSError: The data does not decode.
    """
    image = Image.open(BytesIO(data))
    complete = END_OF_JPEG in data[-TAIL_BYTES:]
    if image.format == "JPEG" and image.mode in ("L", "RGB") and complete:
        import cv2

        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if pixels is None:
            raise UnidentifiedImageError("no JPEG decoder could read it")
        return pixels.astype(np.uint8, copy=False)
    return np.array(image.convert("RGB"))
