"""From an image file to RGB pixels: one decoder, and one verdict, for evaluation and training.

The pixels are those of PIL's `image.convert("RGB")`, as torchvision's ImageFolder gives them:
transparency is dropped, gray is repeated, CMYK is converted without a color profile, and the EXIF
orientation is not applied. Color of 16 bits a channel keeps its high byte, as PIL reads it. Gray
images of more than 8 bits and images of floats have no agreed range: they are refused, not clipped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from vitbench.bounds import LARGEST_IMAGE
from vitbench.data.sizes import Pixels, Size
from vitbench.errors import DatasetError
from vitbench.outside_files import read_bytes, reason, refused_as

DEEP_MODES = ("I", "F")  # and I;16, I;16B, …: one channel of more than 8 bits
JPEG_END = b"\xff\xd9"
JPEG_TAIL = 4096  # bytes in which zeros may follow the end
RESTORE = "restore the file"
SHRINK = "write it smaller"
TO_8_BITS = (
    "write it with 8 bits, in a range of your choice: "
    "Image.fromarray(({}).astype('uint8')).save('new.png')"
)
OF_16_BITS = TO_8_BITS.format("numpy.asarray(image) // 257")
OF_FLOATS = TO_8_BITS.format("numpy.interp(image, (0, 1), (0, 255)).round()")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Pixels of an image that may have been decoded at a fraction of its size."""

    pixels: Pixels  # (ceil(H / reduction), ceil(W / reduction), 3)
    size: Size  # H and W of the image
    reduction: int = 1  # 1, 2, 4 or 8


class CorruptImage(DatasetError):
    """A file that is no image, is broken, or can't become 8-bit RGB.

    Args:
        name: The image.
        found: Why it can't be read.
        cure: What makes it readable.
    """

    def __init__(self, name: str, *, found: str, cure: str) -> None:
        self.cure = cure
        super().__init__(
            f"the image {name!r} can't be read.",
            expected="a whole image file of 8 bits a channel",
            found=found,
            hint=f"{cure}, or leave it out with --skip-corrupt N",
        )


class TooDeep(ValueError):
    """One channel of more than 8 bits."""

    def __init__(self, mode: str) -> None:
        self.cure = OF_FLOATS if mode.startswith("F") else OF_16_BITS
        super().__init__(f"one channel of more than 8 bits (mode {mode})")


def read_image(path: Path) -> Image.Image:
    """Read an image file as RGB.

    Raises:
        CorruptImage: The file is no image, is broken, or can't become 8-bit RGB; it is named.
    """
    return Image.fromarray(decode(str(path), read_file(path)))


def read_file(path: Path) -> bytes:
    """Read the bytes of an image file.

    Raises:
        CorruptImage: The file can't be read.
    """
    with refused_as(partial(_refusal, str(path))):
        return read_bytes(path, LARGEST_IMAGE)


def decode(name: str, data: bytes) -> Pixels:
    """Decode the bytes of an image file to RGB pixels, shape (H, W, 3).

    Args:
        name: What an error calls the image.
        data: The whole file.

    Raises:
        CorruptImage: The data are no image, are broken, or can't become 8-bit RGB.
    """
    with refused_as(partial(_refusal, name)):
        image = _open(data)
        if is_plain_jpeg(image):
            pixels = _decode_jpeg(data)
            if pixels is not None:
                return pixels
        return np.array(_to_rgb(image))


def decode_reduced(name: str, data: bytes, reduction: Callable[[Size], int]) -> Decoded:
    """Decode the bytes of an image file; a JPEG at 1/2, 1/4 or 1/8 of its size, if that will do.

    libjpeg then makes a block of 8 x 8 pixels as one of 4 x 4, 2 x 2 or 1 from its low frequencies:
    it smooths as it shrinks, and most of the work left is the reading of the bits. Of 640 x 480
    photographs it decodes 1.3, 1.4 and 1.6 times as many a second as `decode`.

    Args:
        name: What an error calls the image.
        data: The whole file.
        reduction: Tells by how much an image of a size may be reduced: 1, 2, 4 or 8.

    Raises:
        CorruptImage: As `decode` does.
    """
    with refused_as(partial(_refusal, name)):
        image = _open(data)
        size = image.height, image.width
        by = reduction(size) if is_plain_jpeg(image) else 1
        pixels = _decode_jpeg_reduced(data, by) if by > 1 else None
    if pixels is None:
        return Decoded(decode(name, data), size)
    return Decoded(pixels, size, by)


def is_plain_jpeg(image: Image.Image) -> bool:
    """Whether an image that was opened is a gray or RGB JPEG."""
    return image.format == "JPEG" and image.mode in ("L", "RGB")


def open_header(name: str, data: bytes) -> Image.Image:
    """Read the header of an image file; raises CorruptImage as `decode` does."""
    with refused_as(partial(_refusal, name)):
        return _open(data)


def early_refusal(read: Callable[[], tuple[str, bytes]]) -> CorruptImage | None:
    """Return the error that `refusal` would, without decoding a JPEG whose last bytes are there.

    Most broken images are no images, or cut off. What is wrong within the bits of a JPEG is left to
    `decode`.
    """
    try:
        name, data = read()
        with refused_as(partial(_refusal, name)):
            if is_plain_jpeg(_open(data)) and data[-JPEG_TAIL:].rstrip(b"\0").endswith(JPEG_END):
                return None
    except CorruptImage as error:
        return error
    return refusal(lambda: (name, data))


def refusal(read: Callable[[], tuple[str, bytes]]) -> CorruptImage | None:
    """Return the error that reading or `decode` would raise; JPEG is decoded at an eighth.

    Args:
        read: Returns what an error calls the image, and the whole file.
    """
    try:
        name, data = read()
        with refused_as(partial(_refusal, name)):
            image = _open(data)
            image.draft("RGB", (1, 1))  # all bits are read, so broken ones are found
            _to_rgb(image)
    except CorruptImage as error:
        return error
    return None


def _open(data: bytes) -> Image.Image:
    """Read the header of an image."""
    image = Image.open(BytesIO(data))
    if image.mode.startswith(DEEP_MODES):
        raise TooDeep(image.mode)
    return image


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    image.info.pop("transparency", None)  # dropped either way; PIL warns of some forms
    return image.convert("RGB")


def _decode_jpeg(data: bytes) -> Pixels | None:
    """Decode a gray or RGB JPEG outside the interpreter's lock: libjpeg-turbo's pixels, as PIL's.

    Returns None for what torchvision refuses: PIL has the last word on that.
    """
    import torch
    from torchvision.io import ImageReadMode, decode_jpeg

    try:
        encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        found = decode_jpeg(encoded, mode=ImageReadMode.RGB)
    except RuntimeError:
        return None
    pixels: Pixels = found.permute(1, 2, 0).numpy()
    return pixels


def _decode_jpeg_reduced(data: bytes, by: int) -> Pixels | None:
    """Decode a gray or RGB JPEG at a fraction of its size, outside the interpreter's lock.

    Returns None for what OpenCV refuses: PIL has the last word on that.
    """
    import cv2

    flag = {2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}.get(
        by, cv2.IMREAD_REDUCED_COLOR_8
    )
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    return None if found is None else np.asarray(cv2.cvtColor(found, cv2.COLOR_BGR2RGB), np.uint8)


def _refusal(name: str, error: Exception) -> CorruptImage:
    cure = RESTORE
    if isinstance(error, TooDeep):
        cure = error.cure
    elif isinstance(error, Image.DecompressionBombError | MemoryError):
        cure = SHRINK
    found = reason(error)
    if isinstance(error, UnidentifiedImageError):  # its own words hold an address in memory
        found = "no image of a known format, or its header is damaged"
    return CorruptImage(name, found=found, cure=cure)
