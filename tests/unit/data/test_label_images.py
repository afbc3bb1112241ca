"""Images of numbers: what would change or hide the numbers is refused by name."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.images import bomb
from vitbench.data.label_images import read_label_image
from vitbench.errors import DatasetError


def test_a_palette_gives_its_indices(tmp_path: Path) -> None:
    labels = Image.fromarray(np.array([[0, 7]], np.uint8))
    labels.putpalette(bytes(range(256)) * 3)
    labels.save(tmp_path / "one.png")
    mode, found = read_label_image(tmp_path / "one.png")
    assert (mode, found.tolist()) == ("P", [[0, 7]])


def test_a_jpeg_under_the_name_of_a_png_is_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "one.png", format="JPEG")
    with pytest.raises(DatasetError, match=r"one\.png.* stored with losses(.|\n)*JPEG"):
        read_label_image(tmp_path / "one.png")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no PNG",
        bomb(60_000),
        bomb(2**31 - 1),
        bomb(100)[:60],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
)
def test_a_file_that_is_no_image_of_numbers_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "one.png").write_bytes(content)
    with pytest.raises(DatasetError, match=r"one\.png.* can't be read"):
        read_label_image(tmp_path / "one.png")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"one\.png(.|\n)*No such file"):
        read_label_image(tmp_path / "one.png")
