from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.data.depth import READER, open_depth
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.testing.reader_checks import check_reader


def write(root: Path, name: str, meters: float) -> None:
    """Write an image and its depth map, as the lists of NYUv2 name them."""
    folder = root / name
    folder.mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(folder / "rgb_00001.jpg")
    depth = np.full((6, 8), 1000 * meters, dtype=np.uint16)
    depth[0, 0] = 0
    Image.fromarray(depth).save(folder / "sync_depth_00001.png")


def line(name: str) -> str:
    return f"/{name}/rgb_00001.jpg /{name}/sync_depth_00001.png 518.8579\n"


def test_lists_of_files_are_read_in_meters(tmp_path: Path) -> None:
    write(tmp_path, "kitchen", 2.5)
    write(tmp_path, "attic", 1.25)
    (tmp_path / "nyu_test.txt").write_text(line("kitchen") + line("attic"))
    found = open_depth(tmp_path, "val")
    assert found.ids == ["kitchen/rgb_00001.jpg", "attic/rgb_00001.jpg"]
    sample = found[0]
    assert sample.image.size == (8, 6)
    assert sample.target[0, 0] == 0
    assert sample.target[1, 1] == 2.5
    assert found.subset([1]).target(0)[1, 1] == 1.25


def test_the_built_in_data_passes_the_checks_of_readers() -> None:
    findings = list(check_reader("depth", READER))
    assert findings
    assert [finding for finding in findings if finding.problem] == []


def test_what_is_missing_or_leads_out_of_the_folder_is_said(tmp_path: Path) -> None:
    write(tmp_path, "kitchen", 2.5)
    (tmp_path / "nyu_train.txt").write_text(line("kitchen") + line("cellar"))
    with pytest.raises(DatasetError, match=r"cellar/rgb_00001\.jpg"):
        open_depth(tmp_path, "train")
    (tmp_path / "nyu_train.txt").write_text("../a.jpg ../a.png\n")
    with pytest.raises(DatasetError, match="leads out of the folder"):
        open_depth(tmp_path, "train")
    with pytest.raises(DatasetNotFound, match="no split 'val'"):
        open_depth(tmp_path, "val")


def test_a_map_of_8_bits_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "kitchen", 2.5)
    Image.new("L", (8, 6)).save(tmp_path / "kitchen" / "sync_depth_00001.png")
    (tmp_path / "nyu_train.txt").write_text(line("kitchen"))
    with pytest.raises(DatasetError, match="no 16 bits"):
        open_depth(tmp_path, "train")[0]
