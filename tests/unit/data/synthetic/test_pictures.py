"""The same pixels everywhere: pinned hashes of what the files decode to."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.synthetic import synthetic_folder
from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.png import write_png
from vitbench.data.synthetic.scene import sine
from vitbench.data.synthetic.shapes import CLASSES, UNIT
from vitbench.records import DataKind

# A change here changes every score on the built-in data: raise VERSION in store.py with it.
PINNED: dict[DataKind, str] = {
    "classification": "660143500220f67c7afb152e20da9f7f336843724c74151351d92bb9e6108992",
    "instances": "193b6d838bbc461e3aa872ca373345599bd50ecafb4ebc281ffa8669ff820ce8",
    "semantic": "283ed7b1448954a8909c013188d575ac9fc8e38bffad4bdcab6e2532666ab0b0",
    "clips": "74affbcc180f583b39661836156646fe31d9eb1550c3cdd11d7f8f191718066d",
}
MINIATURE = """
import hashlib
from vitbench.data.synthetic import synthetic_folder
from vitbench.data.synthetic.draws import Draws
from vitbench.data.synthetic.instances import _picture
pixels, annotations = _picture(Draws(9), 0, 96, 96)
print(hashlib.sha256(pixels.tobytes() + repr(annotations).encode()).hexdigest())
"""


def _digest(root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.*")):
        digest.update(path.relative_to(root).as_posix().encode())
        if path.suffix == ".png":
            with Image.open(path) as image:
                digest.update(np.asarray(image).tobytes())
        else:
            digest.update(path.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize("kind", PINNED)
def test_every_view_has_the_pinned_pixels_and_annotations(kind: DataKind) -> None:
    assert _digest(synthetic_folder(kind)) == PINNED[kind]


def test_two_processes_draw_the_same_picture() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", MINIATURE],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_draws_depend_on_the_key_and_stay_in_their_range() -> None:
    values = Draws(1, 2).integers(-3, 3, (1000,))
    assert values.min() == -3
    assert values.max() == 3
    np.testing.assert_array_equal(values, Draws(1, 2).integers(-3, 3, (1000,)))
    assert (values != Draws(1, 3).integers(-3, 3, (1000,))).any()


def test_the_integer_sine_is_within_a_fifth_of_a_percent() -> None:
    degrees = np.arange(-400, 800)
    ours = np.array([sine(int(angle)) for angle in degrees]) / 4096
    np.testing.assert_allclose(ours, np.sin(np.deg2rad(degrees)), atol=0.002)


def test_every_shape_lies_inside_its_square_and_every_pattern_but_plain_uses_both_colors() -> None:
    side = np.arange(-2 * UNIT, 2 * UNIT, 16, dtype=np.int32)
    u, v = np.meshgrid(side, side)
    for kind in CLASSES:
        inside, accent = kind.shape(u, v), kind.pattern(u, v)
        assert not inside[(np.maximum(np.abs(u), np.abs(v)) > UNIT)].any(), kind.name
        share = accent[inside].mean()
        assert share == 0 if kind.name.startswith("plain") else 0.2 < share < 0.8, kind.name


def test_files_are_ordinary_png_files_without_compression(tmp_path: Path) -> None:
    pixels = Draws(0).bytes((150, 200, 3))  # more than one stored block
    write_png(tmp_path / "new" / "color.png", pixels)
    write_png(
        tmp_path / "index.png", pixels[..., 0], np.arange(768, dtype=np.uint8).reshape(256, 3)
    )
    write_png(tmp_path / "gray.png", pixels[..., 0])
    with Image.open(tmp_path / "new" / "color.png") as color:
        np.testing.assert_array_equal(np.asarray(color), pixels)
    with Image.open(tmp_path / "index.png") as index, Image.open(tmp_path / "gray.png") as gray:
        assert (index.mode, gray.mode) == ("P", "L")
        np.testing.assert_array_equal(np.asarray(index), pixels[..., 0])
        np.testing.assert_array_equal(np.asarray(gray), pixels[..., 0])
