import os
from pathlib import Path

import pytest

from vitbench.data import content
from vitbench.data.content import UNREADABLE, Digests

LONG_AGO = (1_500_000_000, 1_500_000_000)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.bin" for number in range(150)]
    for number, path in enumerate(paths):
        path.write_bytes(b"%d" % number * 100)
    return paths


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files of a test are fresh; take them for old ones."""
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(content, "SETTLED_NS", -1_000_000_000_000)


def test_a_second_run_reads_no_file(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Digests(tmp_path, workers=3).of(files)
    monkeypatch.setattr(content, "_hash_file", lambda path: pytest.fail("a file was read"))
    assert Digests(tmp_path).of(files) == first
    assert len(set(first)) == len(files)


def test_a_file_that_changed_is_hashed_again(tmp_path: Path, files: list[Path]) -> None:
    first = Digests(tmp_path).of(files)
    os.utime(files[3], LONG_AGO)
    Digests(tmp_path).of(files)
    files[3].write_bytes(b"x" * files[3].stat().st_size)
    os.utime(files[3], LONG_AGO)  # same size, same time of change, same inode
    again = Digests(tmp_path).of(files)
    assert [n for n in range(len(files)) if first[n] != again[n]] == [3]


def test_a_file_that_changed_just_now_is_not_remembered(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "SETTLED_NS", 2_000_000_000)
    digests = Digests(tmp_path)
    digests.of(files)
    assert not digests.known


def test_a_missing_file_is_left_to_its_reader(tmp_path: Path, files: list[Path]) -> None:
    files[0].unlink()
    found = Digests(tmp_path).of(files)
    assert found[0] == UNREADABLE
    assert UNREADABLE not in found[1:]


def test_a_broken_table_is_made_again(tmp_path: Path, files: list[Path]) -> None:
    first = Digests(tmp_path).of(files)
    (table,) = (tmp_path / "cache" / "digests").iterdir()
    table.write_bytes(table.read_bytes()[:50])
    assert Digests(tmp_path).of(files) == first


def test_names_that_are_no_text_are_hashed_too(tmp_path: Path) -> None:
    path = Path(os.fsdecode(bytes(tmp_path) + b"/\xff\xfe.png"))
    path.write_bytes(b"pixels")
    assert Digests(tmp_path).of([path]) == Digests(tmp_path).of([path])


def test_two_runs_keep_each_others_digests(tmp_path: Path, files: list[Path]) -> None:
    one, other = Digests(tmp_path), Digests(tmp_path)
    one.of(files[:75])
    other.of(files[75:])
    assert len(Digests(tmp_path).known) == len(files)
