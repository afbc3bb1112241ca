import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vitbench.data.decode import CorruptImage, decode, read_file, read_image, refusal
from vitbench.data.image_files import find_images

GRAY = np.arange(20 * 30, dtype=np.uint16).reshape(20, 30) * 100  # 0 to 59900
PHOTO = (np.arange(64 * 80 * 3).reshape(64, 80, 3) * 7 % 251).astype(np.uint8)


def refused_file(path: Path) -> CorruptImage | None:
    return refusal(lambda: (str(path), read_file(path)))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def verdicts(folder: Path, name: str, data: bytes) -> dict[str, str]:
    """Tell what evaluation, training and screening make of a file: whole, or why not."""
    (folder / name).write_bytes(data)
    refused = refused_file(folder / name)
    found = {"screening": refused.found if refused else "whole"}
    reads: dict[str, Callable[[], object]] = {
        "evaluation": lambda: read_image(folder / name),
        "training": lambda: find_images(folder).read(0),
    }
    for who, read in reads.items():
        try:
            read()
            found[who] = "whole"
        except CorruptImage as error:
            found[who] = error.found
    return found


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("bit.png", Image.fromarray(PHOTO).convert("1"), None),
        ("gray.jpg", Image.fromarray(PHOTO).convert("L"), None),
        ("color.jpg", Image.fromarray(PHOTO), None),
        ("cmyk.jpg", Image.fromarray(PHOTO).convert("CMYK"), None),
        ("cmyk.tif", Image.fromarray(PHOTO).convert("CMYK"), None),
        ("palette.png", Image.fromarray(PHOTO).convert("P"), None),
        ("alpha.png", Image.fromarray(PHOTO).convert("RGBA"), PHOTO),
        (
            "gray-alpha.png",
            Image.merge("LA", (Image.new("L", (9, 5), 77), Image.new("L", (9, 5), 0))),
            np.full((5, 9, 3), 77, np.uint8),
        ),
    ],
)
def test_every_kind_of_8_bit_image_has_pils_rgb_pixels_everywhere(
    tmp_path: Path, name: str, image: Image.Image, expected: NDArray[np.uint8] | None
) -> None:
    image.save(tmp_path / name)
    if expected is None:
        with Image.open(tmp_path / name) as stored:
            expected = np.array(stored.convert("RGB"))
    np.testing.assert_array_equal(np.array(read_image(tmp_path / name)), expected)
    np.testing.assert_array_equal(find_images(tmp_path).read(0), expected)
    assert refused_file(tmp_path / name) is None


def test_a_transparent_color_of_a_palette_keeps_its_color(tmp_path: Path) -> None:
    image = Image.new("P", (6, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", transparency=bytes([255, 128]))  # PIL warns of this form
    assert np.array(read_image(tmp_path / "a.png"))[0, 0].tolist() == [10, 20, 30]
    assert refused_file(tmp_path / "a.png") is None


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("a.png", GRAY),
        ("a.tif", GRAY),
        ("a.tif", GRAY.astype(">u2")),
        ("a.tif", GRAY.astype(np.int32)),
        ("a.tif", GRAY.astype(np.float32) / 59900),
        ("a.ppm", GRAY.astype(np.int32)),
    ],
)
def test_gray_of_more_than_8_bits_is_refused_everywhere_not_clipped(
    tmp_path: Path, name: str, pixels: NDArray[Any]
) -> None:
    Image.fromarray(pixels).save(tmp_path / name)
    found = verdicts(tmp_path, name, (tmp_path / name).read_bytes())
    assert set(found) == {"screening", "evaluation", "training"}
    assert all("more than 8 bits" in text for text in found.values())


@pytest.mark.parametrize(
    ("pixels", "brightest"),
    [(GRAY, 59900 // 257), (GRAY.astype(np.float32) / 59900, 255)],
    ids=["of 16 bits", "of floats"],
)
def test_the_hint_for_a_deep_image_makes_one_of_8_bits(
    tmp_path: Path, pixels: NDArray[Any], brightest: int
) -> None:
    Image.fromarray(pixels).save(tmp_path / "old.tif")
    with pytest.raises(CorruptImage) as found:
        read_image(tmp_path / "old.tif")
    image, numpy = Image.open(tmp_path / "old.tif"), np
    code = found.value.cure.partition(": ")[2].replace("new.png", str(tmp_path / "new.png"))
    exec(code, {"Image": Image, "numpy": numpy, "image": image})
    assert np.array(read_image(tmp_path / "new.png"))[..., 0].max() == brightest


def test_what_is_no_image_is_said_in_words_that_are_equal_in_every_run(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(CorruptImage, match="no image of a known format") as found:
        read_image(tmp_path / "a.png")
    assert "0x" not in str(found.value)


def test_color_of_16_bits_keeps_its_high_byte(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    pixels = np.zeros((4, 5, 3), np.uint16)
    pixels[...] = (0x1234, 0x80FF, 0xFF00)  # blue, green, red
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    assert np.array(read_image(tmp_path / "a.png"))[0, 0].tolist() == [0xFF, 0x80, 0x12]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_mark_turns_no_image(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(PHOTO).save(tmp_path / "a.jpg", exif=exif)
    assert np.array(read_image(tmp_path / "a.jpg")).shape == (64, 80, 3)
    assert find_images(tmp_path).read(0).shape == (64, 80, 3)


def test_a_damaged_jpeg_has_one_verdict_and_one_picture(tmp_path: Path) -> None:
    """With 64 bytes damaged anywhere some files are still read: alike, and as PIL reads them."""
    generator = np.random.Generator(np.random.PCG64(3))
    smooth = Image.fromarray(PHOTO[:2, :3]).resize((96, 72), Image.Resampling.BICUBIC)
    whole = encoded(smooth, "JPEG", quality=97)
    seen = set()
    for _ in range(120):
        data = bytearray(whole)
        at = int(generator.integers(2, len(data) - 64))
        data[at : at + 64] = generator.bytes(64)
        found = verdicts(tmp_path, "a.jpg", bytes(data))
        assert len({text == "whole" for text in found.values()}) == 1, found
        seen.add(found["training"] == "whole")
        if found["training"] == "whole":
            with Image.open(tmp_path / "a.jpg") as image:
                expected = np.array(image.convert("RGB"))
            np.testing.assert_array_equal(decode("a.jpg", bytes(data)), expected)
    assert seen == {True, False}


@pytest.mark.parametrize("cut", [1, 2, 40, 200])
def test_a_cut_off_jpeg_has_pils_verdict(tmp_path: Path, cut: int) -> None:
    data = encoded(Image.fromarray(PHOTO), "JPEG")[:-cut]
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
        expected = "whole"
    except OSError as error:
        expected = str(error)
    assert set(verdicts(tmp_path, "a.jpg", data).values()) == {expected}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", png(20000, 20000)),
        ("a.png", png(2**31 - 1, 2**31 - 1)),
        ("a.png", png(8, 8, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**27))))),
        ("a.png", png(0, 8)),
        ("a.jpg", b""),
        ("a.jpg", b"no image"),
        ("a.jpg", b"\xff\xd8\xff\xe0 nothing \xff\xd9"),
        ("a.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(range(256)) * 4),
        ("a.webp", b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(40)),
        ("a.bmp", b"BM" + b"\xff" * 80),
        ("a.ppm", b"P6 99999999999 9 255 "),
    ],
)
def test_bombs_and_broken_files_are_named_and_never_raise_anything_else(
    tmp_path: Path, name: str, data: bytes
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL's, of metadata
        assert "whole" not in verdicts(tmp_path, name, data).values()
        with pytest.raises(CorruptImage, match=rf"{name}' can't be read"):
            read_image(tmp_path / name)


def test_an_image_too_large_is_refused_with_its_size_and_another_hint(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(20000, 20000))
    with pytest.raises(CorruptImage, match="400000000 pixels") as found:
        read_image(tmp_path / "a.png")
    assert "smaller" in found.value.hint


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorruptImage, match=r"gone\.jpg.*\n.*\n.*No such file"):
        read_image(tmp_path / "gone.jpg")
    refused = refused_file(tmp_path / "gone.jpg")
    assert refused is not None
    assert refused.found == "No such file or directory"
