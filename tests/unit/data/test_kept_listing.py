import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vitbench.data import kept_listing, listing
from vitbench.data.folders import open_folders
from vitbench.data.listing import image_names

LONG_AGO = 1_000_000_000


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make folders of three images that are worth being kept, unchanged for a while."""
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(kept_listing, "WORTH", 1)
    monkeypatch.setattr(kept_listing, "SETTLED_NS", -LONG_AGO * 10**9)
    for name in ("ant/1.jpg", "ant/deep/2.jpg", "bee/3.jpg"):
        (tmp_path / "data" / "train" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "train" / name).touch()
    for folder in (tmp_path / "data").rglob("*"):
        if folder.is_dir():
            os.utime(folder, (LONG_AGO, LONG_AGO))
    return tmp_path / "data" / "train"


def never(*_: object) -> None:
    raise AssertionError("listed again")


def test_a_second_listing_looks_at_folders_only(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = image_names(root)
    items = open_folders(root.parent, "train")
    monkeypatch.setattr(listing, "_checked", never)
    assert image_names(root) == first == ["ant/1.jpg", "ant/deep/2.jpg", "bee/3.jpg"]
    assert open_folders(root.parent, "train").ids == items.ids


CHANGES: dict[str, Callable[[Path], object]] = {
    "added": lambda root: (root / "ant" / "deep" / "4.jpg").touch(),
    "removed": lambda root: (root / "bee" / "3.jpg").unlink(),
    "renamed": lambda root: (root / "ant" / "1.jpg").rename(root / "ant" / "0.jpg"),
    "moved": lambda root: (root / "ant" / "deep").rename(root / "bee" / "deep"),
    "replaced": lambda root: replace(root / "bee"),
}


def replace(folder: Path) -> None:
    """Put another folder with the same times in the place of one."""
    times = folder.stat()
    folder.rename(folder.parent.parent / "old")
    folder.mkdir()
    (folder / "5.jpg").touch()
    os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_is_listed_again(root: Path, change: str) -> None:
    before = image_names(root)
    CHANGES[change](root)
    after = image_names(root)
    assert after == sorted(str(path.relative_to(root)) for path in root.rglob("*.jpg"))
    assert after != before


def test_a_folder_that_has_just_been_changed_is_not_trusted(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_listing, "SETTLED_NS", 10**12)
    image_names(root)
    monkeypatch.setattr(listing, "_checked", never)
    with pytest.raises(AssertionError, match="listed again"):
        image_names(root)


@pytest.mark.parametrize("broken", [b"", b"PK\3\4", b"no archive", None])
def test_a_broken_index_is_made_again(root: Path, broken: bytes | None) -> None:
    first = image_names(root)
    (file,) = (root.parents[1] / "cache" / "listings").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if broken is None else broken)
    assert image_names(root) == first
    assert file.stat().st_size == len(whole)


def test_a_flat_folder_and_names_that_are_not_utf_8_are_kept(root: Path) -> None:
    os.mkdir(os.fsencode(root / "bee") + b"/\xff")  # noqa: PTH102  (bytes)
    assert image_names(root / "bee") == ["3.jpg"]
    assert image_names(root / "bee") == ["3.jpg"]
    assert image_names(root / "ant" / "deep") == ["2.jpg"]
    assert kept_listing.read_listing(root / "ant" / "deep") == ["2.jpg"]
    assert kept_listing.read_listing(root / "bee") == ["3.jpg"]


def test_small_folders_are_not_kept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_listing, "WORTH", 4)
    image_names(root)
    assert not (root.parents[1] / "cache").exists()
