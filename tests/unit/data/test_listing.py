import os
from pathlib import Path

import pytest

from vitbench.data.folders import open_folders
from vitbench.data.image_files import find_images
from vitbench.data.listing import folder_names, image_names
from vitbench.errors import DatasetError


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def test_images_are_found_at_any_depth_by_suffixes_of_any_case(tmp_path: Path) -> None:
    touch(tmp_path, "b.JPEG", "a/c.Png", "a/b/d.tif", "notes.txt", "e.jpg.part", "jpg")
    assert image_names(tmp_path) == ["a/b/d.tif", "a/c.Png", "b.JPEG"]


def test_evaluation_and_training_see_the_same_images_of_a_linked_folder(tmp_path: Path) -> None:
    root = touch(
        tmp_path / "data", "train/ant/1.jpg", "train/bee/deep/er/2.jpg", "train/ant/.x.jpg"
    )
    touch(tmp_path / "more", "3.jpg", "sub/4.jpg")
    (root / "train" / "ant" / "linked").symlink_to(tmp_path / "more")
    (root / "train" / "cow").symlink_to(tmp_path / "more")
    evaluated = sorted(name.removeprefix("train/") for name in open_folders(root, "train").ids)
    assert evaluated == list(find_images(root).ids)
    assert len(evaluated) == 6


def test_a_link_back_into_its_own_folder_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert image_names(tmp_path) == ["a/1.jpg"]
    assert image_names(tmp_path / "a") == ["1.jpg"]


def test_a_link_that_leads_nowhere_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").symlink_to(tmp_path / "gone")
    with pytest.raises(DatasetError, match=r"1\.jpg' is no file") as found:
        image_names(tmp_path)
    assert found.value.found == "a link that leads nowhere"


def test_a_pipe_with_the_name_of_an_image_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    with pytest.raises(DatasetError, match="is no file"):
        image_names(tmp_path)


def test_a_name_that_is_not_utf8_is_refused_and_can_be_printed(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path)
    os.mkdir(folder + b"/caf\xe9")  # noqa: PTH102  (names of bytes)
    with open(folder + b"/caf\xe9/1.jpg", "wb"):  # noqa: PTH123
        pass
    with pytest.raises(DatasetError, match="is not UTF-8") as found:
        folder_names(tmp_path)
    str(found.value).encode()
    with open(folder + b"/\xff.jpg", "wb"):  # noqa: PTH123
        pass
    with pytest.raises(DatasetError, match=r"xff\.jpg' is not UTF-8") as found:
        image_names(tmp_path)
    str(found.value).encode()
