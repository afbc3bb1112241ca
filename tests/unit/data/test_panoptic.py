"""Panoptic PNGs and their JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.images import bomb
from vitbench.data.panoptic import open_panoptic
from vitbench.data.positives import PositiveRule, find_positives
from vitbench.errors import DatasetError


def write(root: Path, ids: list[list[int]], segments: dict[int, int]) -> Path:
    """Write one image whose 4 x 4 blocks have the segment ids given."""
    numbers = np.asarray(ids).repeat(4, 0).repeat(4, 1)
    colors = np.stack([numbers % 256, numbers // 256 % 256, numbers // 65536], axis=-1)
    maps = root / "annotations" / "panoptic_val2017"
    maps.mkdir(parents=True)
    Image.fromarray(colors.astype(np.uint8)).save(maps / "1.png")
    height, width = numbers.shape
    document: dict[str, Any] = {
        "images": [{"id": 1, "file_name": "1.jpg", "height": height, "width": width}],
        "annotations": [
            {
                "image_id": 1,
                "file_name": "1.png",
                "segments_info": [
                    {"id": number, "category_id": category} for number, category in segments.items()
                ],
            }
        ],
        "categories": [{"id": 1, "name": "person", "isthing": 1}, {"id": 199, "name": "wall"}],
    }
    maps.with_suffix(".json").write_text(json.dumps(document))
    return root


def test_segments_are_told_by_all_three_channels(tmp_path: Path) -> None:
    root = write(tmp_path, [[70000, 300], [0, 300]], {70000: 1, 300: 199})
    target = open_panoptic(root, "val").target(0)
    np.testing.assert_array_equal(target.labels("categories")[::4, ::4], [[1, 199], [0, 199]])


def test_two_objects_of_a_category_are_one_category(tmp_path: Path) -> None:
    root = write(tmp_path, [[5, 6], [7, 7]], {5: 1, 6: 1, 7: 199})
    target = open_panoptic(root, "val").target(0)
    reading = PositiveRule(geometry="squash", image_px=8, patch_px=4)
    np.testing.assert_array_equal(find_positives(target, reading).counts, [[1, 1], [1, 1]])
    segments = PositiveRule(geometry="squash", image_px=8, patch_px=4, labels="segments")
    np.testing.assert_array_equal(find_positives(target, segments).counts, [[0, 0], [1, 1]])


def test_segments_that_the_file_does_not_list_are_refused(tmp_path: Path) -> None:
    root = write(tmp_path, [[5, 6]], {5: 1})
    with pytest.raises(DatasetError, match="ids that its annotation doesn't list"):
        open_panoptic(root, "val").target(0)


def test_a_missing_png_is_found_before_any_work(tmp_path: Path) -> None:
    root = write(tmp_path, [[5]], {5: 1})
    (root / "annotations" / "panoptic_val2017" / "1.png").unlink()
    with pytest.raises(DatasetError, match="1 of 1 images have no segment map"):
        open_panoptic(root, "val")


@pytest.mark.parametrize("content", [b"", b"no PNG", bomb(60_000)])
def test_a_segment_map_that_is_no_png_is_named(tmp_path: Path, content: bytes) -> None:
    root = write(tmp_path, [[5]], {5: 1})
    path = root / "annotations" / "panoptic_val2017" / "1.png"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"panoptic_val2017/1\.png"):
        open_panoptic(root, "val").target(0)


def test_a_segment_map_of_one_channel_is_refused(tmp_path: Path) -> None:
    root = write(tmp_path, [[5]], {5: 1})
    Image.new("L", (4, 4), 5).save(root / "annotations" / "panoptic_val2017" / "1.png")
    with pytest.raises(DatasetError, match="is no RGB image"):
        open_panoptic(root, "val").target(0)


@pytest.mark.parametrize("name", ["", "..", "a\0.png", "a" * 300])
def test_a_segment_map_whose_name_is_none_is_named(tmp_path: Path, name: str) -> None:
    root = write(tmp_path, [[5]], {5: 1})
    path = root / "annotations" / "panoptic_val2017.json"
    document = json.loads(path.read_text())
    document["annotations"][0]["file_name"] = name
    path.write_text(json.dumps(document))
    with pytest.raises(DatasetError, match="no file name"):
        open_panoptic(root, "val")
