from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy.io import savemat

from vitbench.cli.main import main
from vitbench.data.depth import open_depth
from vitbench.data.nyuv2 import LABELED, SPLITS, convert_nyuv2
from vitbench.errors import DatasetError

HEIGHT, WIDTH, COUNT = 6, 8, 5


def write(folder: Path, **changes: Any) -> tuple[Any, Any]:
    """Write both files as MATLAB does, columns first; return pixels and meters, rows first."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), dtype=np.uint8)
    meters = generator.uniform(0.5, 9, (COUNT, HEIGHT, WIDTH)).astype(np.float32)
    meters[:, 0, 0] = 0
    arrays = {
        "images": pixels.transpose(0, 3, 2, 1),
        "rawDepths": meters.transpose(0, 2, 1),
        "depths": np.ones((COUNT, WIDTH, HEIGHT), np.float32),  # inpainted
    }
    with h5py.File(folder / LABELED, "w") as file:
        for name, values in (arrays | changes).items():
            file[name] = values
    numbers = {"trainNdxs": [[2], [5]], "testNdxs": [[1], [3], [4]]}
    savemat(folder / SPLITS, {name: np.array(rows) for name, rows in numbers.items()})
    return pixels, meters


def test_images_and_depths_of_the_sensor_are_those_of_the_files(tmp_path: Path) -> None:
    pixels, meters = write(tmp_path)
    assert convert_nyuv2(tmp_path, tmp_path) == {"train": 2, "val": 3}
    for split, numbers in (("train", (1, 4)), ("val", (0, 2, 3))):
        found = open_depth(tmp_path, split)
        assert [Path(name).stem for name in found.ids] == [f"{n + 1:04}" for n in numbers]
        for place, number in enumerate(numbers):
            sample = found[place]
            np.testing.assert_array_equal(np.asarray(sample.image), pixels[number])
            np.testing.assert_allclose(sample.target, meters[number], atol=6e-4)
            assert sample.target[0, 0] == 0


def test_the_command_says_how_many_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    words = ["data", "convert", "nyuv2", "--at", str(tmp_path), "--into", str(tmp_path / "out")]
    assert main(words) == 0
    assert "2 train, 3 val images" in capsys.readouterr().out
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["data", "convert", "coco"]) == 2


def test_files_that_do_not_fit_are_refused_and_leave_no_split(tmp_path: Path) -> None:
    for changes, text in (
        ({"rawDepths": np.ones((COUNT, HEIGHT, WIDTH), np.float32)}, "rawDepths are float32"),
        ({"images": np.ones((COUNT, WIDTH, HEIGHT), np.uint8)}, "images are uint8"),
        ({"images": np.ones((3, 3, WIDTH, HEIGHT), np.uint8),
          "rawDepths": np.ones((3, WIDTH, HEIGHT), np.float32)}, "not among 3"),
    ):  # fmt: skip
        write(tmp_path, **changes)
        with pytest.raises(DatasetError, match=text):
            convert_nyuv2(tmp_path, tmp_path)
    (tmp_path / LABELED).write_bytes(b"MATLAB 7.3 MAT-file" + bytes(1000))
    with pytest.raises(DatasetError, match="can't be read"):
        convert_nyuv2(tmp_path, tmp_path)
    (tmp_path / SPLITS).unlink()
    with pytest.raises(DatasetError, match="list of splits"):
        convert_nyuv2(tmp_path, tmp_path)
    assert not (tmp_path / "train").exists()


@pytest.mark.parametrize("way", ["link", "external", "virtual"])
def test_an_array_of_another_file_is_not_followed(tmp_path: Path, way: str) -> None:
    write(tmp_path)
    shape, other = (COUNT, 3, WIDTH, HEIGHT), tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["images"] = np.zeros(shape, np.uint8)
    with h5py.File(tmp_path / LABELED, "r+") as file:
        del file["images"]
        if way == "link":
            file["images"] = h5py.ExternalLink(str(other), "images")
        elif way == "external":
            size = COUNT * 3 * WIDTH * HEIGHT
            file.create_dataset("images", shape, np.uint8, external=[(str(other), 0, size)])
        else:
            layout = h5py.VirtualLayout(shape, np.uint8)
            layout[...] = h5py.VirtualSource(str(other), "images", shape)
            file.create_virtual_dataset("images", layout)
    with pytest.raises(DatasetError, match="images is no array of this file"):
        convert_nyuv2(tmp_path, tmp_path)
    assert not (tmp_path / "train").exists()
