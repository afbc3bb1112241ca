from pathlib import Path

import pytest

from vitbench.data.dataset import DATA_VARIABLE
from vitbench.data.inside import follow_pointer
from vitbench.errors import DatasetError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A dataset in a folder of datasets, with a file beside that folder."""
    for name in ("data/own/images", "data/other"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("data/own/a.jpg", "data/other/b.jpg", "secret.jpg"):
        (tmp_path / name).write_bytes(b"\xff\xd8 pixels")
    return tmp_path / "data" / "own"


def pointer(root: Path, text: str) -> Path:
    path = root / "images" / "x.jpg"
    path.write_text(text)
    return path


def test_a_pointer_below_the_root_is_followed(root: Path) -> None:
    assert follow_pointer(pointer(root, "../a.jpg\n"), root) == root / "a.jpg"


def test_a_pointer_into_another_dataset_needs_the_folder_of_all(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    path = pointer(root, "../../other/b.jpg")
    with pytest.raises(DatasetError, match="points out of the dataset's folder"):
        follow_pointer(path, root)
    monkeypatch.setenv(DATA_VARIABLE, str(root.parent))
    assert follow_pointer(path, root) == root.parent / "other" / "b.jpg"


@pytest.mark.parametrize("text", ["../../../secret.jpg", "/etc/secret.jpg", "../../../none.JPG"])
def test_a_pointer_out_of_the_data_is_refused_by_name(
    root: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DATA_VARIABLE, str(root.parent))
    with pytest.raises(DatasetError, match=r"x\.jpg' is a text that points out") as found:
        follow_pointer(pointer(root, text), root)
    assert text in found.value.found


@pytest.mark.parametrize(
    "text", ["no path", "../a.png", "../missing.jpg", "", "a.jpg\nb.jpg", "a" * 300 + ".jpg"]
)
def test_any_other_file_stands_for_itself(root: Path, text: str) -> None:
    path = pointer(root, text)
    assert follow_pointer(path, root) == path
    assert follow_pointer(root / "a.jpg", root) == root / "a.jpg"


def test_a_link_of_the_file_system_is_the_user_s_own_and_stays(root: Path) -> None:
    link = root / "images" / "linked.jpg"
    link.symlink_to(root.parent.parent / "secret.jpg")
    assert follow_pointer(link, root) == link
