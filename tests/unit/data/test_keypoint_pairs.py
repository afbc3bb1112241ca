import json
from pathlib import Path
from typing import Any

import pytest

from vitbench.api import open_dataset
from vitbench.data.dataset import readers
from vitbench.data.keypoint_pairs import write_demo
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.testing import check_reader


def test_the_reader_keeps_its_contract() -> None:
    findings = check_reader("pairs", readers.get("pairs"))
    assert [finding for finding in findings if not finding.passed] == []


def test_categories_take_turns(tmp_path: Path) -> None:
    write_demo(tmp_path)
    dataset = open_dataset(str(tmp_path), "pairs", "test")
    assert [dataset[place].category for place in range(4)] == ["wave", "weave"] * 2
    assert dataset.class_names == ["wave", "weave"]
    pair = dataset[1]
    assert pair.source_points.shape == pair.target_points.shape == (6, 2)
    assert pair.extent == 96
    assert [image.size for image in pair.images()] == [(96, 80)] * 2


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"category": "../.."}, "a name"),
        ({"src_imname": "absent.png"}, "not there"),
        ({"src_kps": [[1, 2]]}, "1 points of one image"),
        ({"trg_bndbox": [1, 2]}, "unpack"),
        ({"src_imname": "x" * 300}, "a name"),
        ({"viewpoint_variation": None}, "TypeError"),
    ],
)
def test_what_a_pair_lacks_is_named(tmp_path: Path, change: dict[str, Any], text: str) -> None:
    write_demo(tmp_path)
    file = min((tmp_path / "PairAnnotation" / "test").iterdir())
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(DatasetError, match=text):
        open_dataset(str(tmp_path), "pairs", "test")


def test_a_split_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_demo(tmp_path)
    with pytest.raises(DatasetNotFound, match="no split 'val'"):
        open_dataset(str(tmp_path), "pairs", "val")
