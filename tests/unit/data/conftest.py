import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

Photo = Callable[[int, int, int], NDArray[np.uint8]]
Write = Callable[..., Path]

SQUARE = [[0, 0, 4, 0, 4, 4, 0, 4]]  # the upper left 4 x 4 pixels


@pytest.fixture
def photo() -> Photo:
    """Make real-looking images: power falling with frequency, correlated colors, hard edges."""

    def make(height: int, width: int, seed: int) -> NDArray[np.uint8]:
        generator = np.random.Generator(np.random.PCG64(seed))
        rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
        falloff = 1 / np.maximum(np.hypot(rows, columns), 1 / max(height, width))
        noise = generator.standard_normal((4, height, width))
        planes = np.fft.ifft2(np.fft.fft2(noise) * falloff).real
        planes /= planes.std(axis=(1, 2), keepdims=True)
        image = planes[:1] + 0.5 * planes[1:]  # (3, H, W) light that the colors share
        top, left = generator.integers(height), generator.integers(width)
        image[:, top:, left:] = generator.standard_normal((3, 1, 1)) - 0.3 * image[:, top:, left:]
        return np.clip(image.transpose(1, 2, 0) * 55 + 115, 0, 255).astype(np.uint8)

    return make


@pytest.fixture
def write_coco(tmp_path: Path) -> Write:
    """Return a function that writes a COCO folder and returns its root."""

    def write(
        *annotations: dict[str, Any],
        images: int = 1,
        size: tuple[int, int] = (8, 8),
        categories: tuple[int, ...] = (1, 2),
        with_images: bool = False,
    ) -> Path:
        width, height = size
        entries = [
            {"id": number, "file_name": f"{number:012}.jpg", "width": width, "height": height}
            for number in range(1, images + 1)
        ]
        objects = [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 1.0}
            | {"bbox": [0, 0, 1, 1], "segmentation": SQUARE}
            | annotation
            for number, annotation in enumerate(annotations, start=1)
        ]
        names = [{"id": number, "name": f"thing {number}"} for number in categories]
        document = {"images": entries, "annotations": objects, "categories": names}
        (tmp_path / "annotations").mkdir(exist_ok=True)
        file = tmp_path / "annotations" / "instances_val2017.json"
        file.write_text(json.dumps(document))
        if with_images:
            (tmp_path / "val2017").mkdir(exist_ok=True)
            for entry in entries:
                Image.new("RGB", size).save(tmp_path / "val2017" / str(entry["file_name"]))
        return tmp_path

    return write
