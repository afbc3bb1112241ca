"""Images whose pixels are numbers (labels, object ids): opened without trust, never as colors."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.errors import DatasetError

FORMATS = ("PNG", "BMP", "GIF", "PPM", "TIFF")  # lossless; none that asks another program
LOSSY = ("JPEG", "WEBP", "JPEG2000")
# what PIL raises for a file that is broken, or claims more pixels than it decodes
BROKEN = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error,
          Image.DecompressionBombError)  # fmt: skip


def read_label_image(path: Path) -> tuple[str, NDArray[Any]]:
    """Read an image of numbers.

    Returns:
        Its mode as PIL names it (`L`, `P`, `I;16`, `1`, `RGB`, …) and its pixels, the indices of a
        palette, never the palette's colors.

    Raises:
        DatasetError: The file is missing, broken, too large, or of a format that loses numbers.
    """
    try:
        with Image.open(path, formats=(*FORMATS, *LOSSY)) as image:
            if image.format in LOSSY:
                raise DatasetError(
                    f"the label file {str(path)!r} is stored with losses.",
                    expected="a PNG, whose pixels come back as they were written",
                    found=f"{image.format} data, whose edges are blurred: numbers that nobody gave",
                    hint="write the labels as PNG where they are made",
                )
            return image.mode, np.array(image)
    except BROKEN as error:
        raise DatasetError(
            f"the label file {str(path)!r} can't be read.",
            expected="a whole PNG",
            found=_reason(path, error),
            hint="restore the file",
        ) from error


def _reason(path: Path, error: Exception) -> str:
    if not path.exists():
        return "no such file"
    return str(error) or type(error).__name__
