"""Images whose pixels are numbers (labels, object ids): opened without trust, never as colors."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitbench.bounds import LARGEST_LABEL
from vitbench.errors import DatasetError
from vitbench.outside_files import parsing, read_bytes

FORMATS = ("PNG", "BMP", "GIF", "PPM", "TIFF")  # lossless; none that asks another program
LOSSY = ("JPEG", "WEBP", "JPEG2000")


def read_label_image(path: Path) -> tuple[str, NDArray[Any]]:
    """Read an image of numbers.

    Returns:
        Its mode as PIL names it (`L`, `P`, `I;16`, `1`, `RGB`, …) and its pixels, the indices of a
        palette, never the palette's colors.

    Raises:
        DatasetError: The file is missing, broken, too large, or of a format that loses numbers.
    """
    with parsing(f"the label file {str(path)!r}", expected="a whole PNG"):
        content = BytesIO(read_bytes(path, LARGEST_LABEL))
        with Image.open(content, formats=(*FORMATS, *LOSSY)) as image:
            if image.format in LOSSY:
                raise DatasetError(
                    f"the label file {str(path)!r} is stored with losses.",
                    expected="a PNG, whose pixels come back as they were written",
                    found=f"{image.format} data, whose edges are blurred: numbers that nobody gave",
                    hint="write the labels as PNG where they are made",
                )
            return image.mode, np.array(image)
