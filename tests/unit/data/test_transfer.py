import shutil
from pathlib import Path

import pytest

from vitbench.api import RunOptions, from_preset
from vitbench.data.transfer import open_queries
from vitbench.engine.context import open_data
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench_protocols.knn import Knn

CLASSES = ("blue", "green", "red", "violet")


def test_classes_are_matched_by_name_and_numbered_as_in_the_first_set(folders: Path) -> None:
    found = open_queries(str(folders), ("red", "blue"))
    assert {found.class_names[target] for target in found.targets} == {"red", "blue"}
    assert all(
        name.split("/")[1] == found.class_names[target]
        for name, target in zip(found.ids, found.targets, strict=True)
    )
    assert (found.info.split, found.info.classes, found.info.items) == ("queries", 2, 8)
    assert found.info.of_items is None
    assert found.notes == (
        "queries: 1 of 3 classes are not in train: green; their images are left out",
    )


def test_class_folders_without_splits_are_read_whole(folders: Path) -> None:
    found = open_queries(str(folders / "train"), CLASSES)
    assert (found.info.name, found.info.items, found.notes) == ("train", 24, ())
    assert Path(found.image_files(0)[0]) == folders / "train" / "blue" / "0.png"


def test_numbers_stand_for_the_classes_in_their_order(folders: Path, tmp_path: Path) -> None:
    for number, name in ((0, "blue"), (2, "red")):
        shutil.copytree(folders / "val" / name, tmp_path / "v2" / str(number))
    found = open_queries(str(tmp_path / "v2"), CLASSES)
    assert {name.split("/")[1] for name in found.ids} == {"0", "2"}
    assert {found.class_names[target] for target in found.targets} == {"blue", "red"}
    with pytest.raises(DatasetError, match="have no class of the data"):
        open_queries(str(tmp_path / "v2"), ("blue", "green"))  # there is no class 2


def test_a_set_of_other_classes_is_refused(folders: Path) -> None:
    with pytest.raises(DatasetError, match="have no class of the data that is learned from"):
        open_queries(str(folders), ("cat", "dog"))


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="has no 'val' split"):
        open_queries(str(tmp_path), CLASSES)


def test_a_changed_image_of_the_queries_is_other_data(folders: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folders / "val", other)
    knn = from_preset(Knn, None, queries=str(other))
    options = RunOptions(data=str(folders))

    def mark() -> str:
        return open_data(knn, options, pixels=True).describe(knn.splits).fingerprint

    before = mark()
    assert before != open_data(Knn(), options, pixels=True).describe(Knn().splits).fingerprint
    shutil.copy(other / "red" / "0.png", other / "red" / "1.png")
    assert mark() != before
