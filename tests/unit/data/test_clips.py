from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.clips import read_frame
from vitbench.data.decode import CorruptImage


def test_a_frame_is_the_decoder_s_picture_in_bgr(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, which no reader applies
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[...] = (200, 100, 0)
    Image.fromarray(pixels).save(tmp_path / "0.jpg", exif=exif, quality=95)
    frame = read_frame(tmp_path / "0.jpg")
    assert frame.shape == (16, 24, 3)
    assert frame.flags.c_contiguous
    with Image.open(tmp_path / "0.jpg") as image:
        np.testing.assert_array_equal(frame[..., ::-1], np.array(image.convert("RGB")))


def test_frames_that_other_readers_refuse_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(tmp_path / "0.png")
    with pytest.raises(CorruptImage, match="more than 8 bits"):
        read_frame(tmp_path / "0.png")
    (tmp_path / "1.png").write_bytes(b"no image")
    with pytest.raises(CorruptImage, match=r"1\.png"):
        read_frame(tmp_path / "1.png")
