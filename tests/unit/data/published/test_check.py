"""What is said of a folder: whole, a subset, more than the set, broken."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from vitbench.data.dataset import data_root, readers
from vitbench.data.published.check import Checked, Finding, check_set
from vitbench.data.published.sets import find_set, set_names, whole_counts
from vitbench.errors import DatasetNotFound


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return Path(shutil.copytree(data_root("synthetic", "clips"), tmp_path / "clips"))


def test_every_set_says_where_it_is_from_and_how_it_lies() -> None:
    names = set_names()
    assert {"davis", "coco", "ade20k", "voc", "imagenette", "nyuv2", "spair", "roxford"} <= {*names}
    for wanted in map(find_set, names):
        assert wanted.folder in wanted.layout
        assert all(each.url.startswith("http") for each in wanted.archives)


def test_a_set_is_found_by_the_name_of_its_folder() -> None:
    assert find_set("spair-71k") is find_set("spair")
    assert whole_counts("imagenette160")["classification"] == {"train": 9469, "val": 3925}
    assert whole_counts("mine") == {}


def test_a_copy_with_all_counts_is_whole(clips: Path) -> None:
    count = len(readers.get("clips").open(clips, "val"))
    small = replace(find_set("davis"), splits={"clips": {"val": count}}, contents=())
    assert check_set(small, clips).verdict == "whole"
    larger = replace(small, splits={"clips": {"val": count + 1}})
    assert check_set(larger, clips).verdict.startswith("a subset")
    smaller = replace(small, splits={"clips": {"val": count - 1}})
    assert check_set(smaller, clips).verdict.startswith("another set")


def test_a_frame_that_a_list_names_and_nobody_has_is_a_fault(clips: Path) -> None:
    next(clips.glob("Annotations/480p/*/00001.png")).unlink()
    checked = check_set(find_set("davis"), clips)
    assert checked.verdict.startswith("broken")
    assert "00001" in checked.faults[0]


def test_an_empty_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017" / "1.jpg").touch()
    assert "1.jpg" in check_set(find_set("coco"), tmp_path).faults[0]


def test_no_folder_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="vitbench data get davis"):
        check_set(find_set("davis"), tmp_path / "davis")


def test_a_missing_optional_part_does_not_make_a_subset() -> None:
    found = [Finding("val", 5, 5), Finding("train", 0, 9, optional=True)]
    assert Checked(find_set("coco"), Path(), found).verdict == "whole; not there: train (optional)"
