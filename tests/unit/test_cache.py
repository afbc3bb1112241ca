import os
from pathlib import Path

import pytest

from vitbench import cache


@pytest.fixture
def read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a cache that can't be written, as on a read-only mount; root may write all others."""
    folder = tmp_path / "shared"
    (folder / "gate").mkdir(parents=True)
    (folder / "gate" / "old").touch()
    monkeypatch.setenv("VITBENCH_CACHE", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and allowed(path, mode))
    return folder


def test_a_cache_that_can_not_be_written_is_read_and_another_is_written(
    read_only: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own" / "vitbench"
    assert cache.find_cached("gate", "old") == read_only / "gate" / "old"
    assert cache.find_cached("gate", "new") == cache.cache_place("gate", "new")
    assert cache.cache_place("gate", "new") == own / "gate" / "new"
    (own / "gate").mkdir(parents=True)
    (own / "gate" / "old").touch()
    assert cache.find_cached("gate", "old") == own / "gate" / "old"


def test_without_a_cache_of_ones_own_the_folder_for_temporary_files_is_taken(
    read_only: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only.parent / "shared" / "x"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(cache, "_user_cache", lambda: read_only)
    place = cache.cache_place("gate")
    assert place.parent.parent == tmp_path
    assert place.parent.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_can_be_written_is_the_only_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "not" / "yet"))
    assert cache.cache_roots() == (tmp_path / "not" / "yet",)
