"""Parts of a split: the items or classes that a list names, and the first so many."""

from pathlib import Path

import pytest
from PIL import Image

from vitbench.data.dataset import open_dataset
from vitbench.data.kinds import ClassificationDataset
from vitbench.data.selection import Selection, selection
from vitbench.errors import DatasetError, SettingError

SPLITS = ("train", "val")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for split in SPLITS:
        for name in ("ant", "bee", "cow"):
            for number in range(4):
                path = tmp_path / "data" / split / name / f"{name}_{split}_{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8)).save(path)
    return tmp_path / "data"


def taken(root: Path, split: str, chosen: Selection) -> ClassificationDataset:
    found, _ = chosen.of(open_dataset(str(root), "classification", split))
    assert isinstance(found, ClassificationDataset)
    return found


def written(root: Path, *lines: str) -> str:
    path = root.parent / "list.txt"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_one_limit_holds_for_every_split_and_words_for_their_own(root: Path) -> None:
    sizes = {
        limit: tuple(len(taken(root, split, selection(limit, (), SPLITS))) for split in SPLITS)
        for limit in (None, 5, ("train=7", "val=2"), ("val=3",), ("4",))
    }
    assert [*sizes.values()] == [(12, 12), (5, 5), (7, 2), (12, 3), (4, 4)]


@pytest.mark.parametrize("limit", [("train=0",), ("train=x",), ("trian=4",), ("train=-3",)])
def test_a_limit_of_another_form_is_refused(limit: tuple[str, ...]) -> None:
    with pytest.raises(SettingError, match="--limit"):
        selection(limit, (), SPLITS)


@pytest.mark.parametrize(
    "line",
    [
        "train/bee/bee_train_1.jpg",
        "./train/bee/bee_train_1.jpg",
        "bee/bee_train_1.jpg",
        "bee\\bee_train_1.jpg",
        "bee_train_1.jpg",
        "bee_train_1",
        "bee/bee_train_1.jpg 1",
    ],
)
def test_a_list_names_images_as_lists_do(root: Path, line: str) -> None:
    chosen = selection(None, (written(root, line, "", "# a remark", "ant_train_0.jpg"),), SPLITS)
    train = taken(root, "train", chosen)
    assert train.ids == ["train/ant/ant_train_0.jpg", "train/bee/bee_train_1.jpg"]
    assert (train.targets, train.info.classes, train.info.of_items) == ([0, 1], 3, 12)
    assert len(taken(root, "val", chosen)) == 12  # the list is of the first split


def test_a_list_of_another_split_is_given_with_its_name(root: Path) -> None:
    chosen = selection(None, ("val=" + written(root, "ant_val_0.jpg"),), SPLITS)
    assert [len(taken(root, split, chosen)) for split in SPLITS] == [12, 1]


def test_a_list_of_classes_selects_them_in_every_split(root: Path) -> None:
    chosen = selection(None, (written(root, "cow", "ant the insect"),), SPLITS)
    for split in SPLITS:
        found = taken(root, split, chosen)
        assert found.class_names == ("ant", "cow")
        assert sorted(found.targets) == [0] * 4 + [1] * 4
        assert found.info.classes == 2


def test_the_limit_counts_what_the_list_leaves(root: Path) -> None:
    chosen = selection(("train=3",), (written(root, "cow"),), SPLITS)
    found, notes = chosen.of(open_dataset(str(root), "classification", "train"))
    assert (len(found), found.info.of_items) == (3, 12)
    assert notes == ["train: 4 of 12 images, by list.txt"]


def test_a_line_that_names_nothing_is_told(root: Path) -> None:
    chosen = selection(None, (written(root, "ant_train_0.jpg", "cow", "elk"),), SPLITS)
    with pytest.raises(DatasetError, match=r"2 lines of .* name no one item of train") as found:
        taken(root, "train", chosen)
    assert found.value.found == "cow, elk"


def test_a_name_that_two_images_have_is_told(root: Path) -> None:
    for name in ("ant", "bee"):
        Image.new("RGB", (8, 8)).save(root / "train" / name / "same.jpg")
    with pytest.raises(DatasetError, match="no one item") as found:
        taken(root, "train", selection(None, (written(root, "same.jpg"),), SPLITS))
    assert "several items" in found.value.found
    whole = selection(None, (written(root, "ant/same.jpg"),), SPLITS)
    assert taken(root, "train", whole).ids == ["train/ant/same.jpg"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"# nothing\n"])
def test_a_list_that_says_nothing_is_refused(root: Path, content: bytes) -> None:
    (root.parent / "list.txt").write_bytes(content)
    with pytest.raises(DatasetError, match="split list"):
        taken(root, "train", selection(None, (str(root.parent / "list.txt"),), SPLITS))


def test_a_list_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.txt"):
        taken(root, "train", selection(None, ("none.txt",), SPLITS))
