import os
import tracemalloc
from pathlib import Path

import pytest

from vitbench.errors import CheckpointError, DatasetError
from vitbench.outside_files import parsing, read_bytes, read_text, reason, unless_broken


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    assert read_bytes(tmp_path / "x", 5) == b"12345"
    with pytest.raises(ValueError, match="larger than 4 bytes"):
        read_bytes(tmp_path / "x", 4)


def test_a_small_file_takes_little_memory_whatever_its_bound(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"12345")
    tracemalloc.start()
    try:
        read_bytes(tmp_path / "x", 1 << 33)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "link to a device", "nothing"])
def test_what_is_no_regular_file_is_not_opened(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "device":
        path = Path("/dev/zero")
    with pytest.raises(OSError, match=r"no regular file|No such file"):
        read_bytes(path, 10)


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbfa\n")
    assert read_text(tmp_path / "x", 10) == "a\n"


@pytest.mark.parametrize("error", [RuntimeError("x"), RecursionError(), MemoryError(), KeyError(1)])
def test_whatever_a_parser_raises_names_the_file_and_the_cause(error: Exception) -> None:
    told = pytest.raises(DatasetError, match=r"the list 'a\.txt' can't be read")
    with told as found, parsing("the list 'a.txt'", expected="names"):
        raise error
    assert found.value.__cause__ is error
    assert found.value.expected == "names"
    assert found.value.found == reason(error)


def test_an_error_that_is_told_passes_and_so_does_a_stop() -> None:
    with pytest.raises(CheckpointError, match="mine"), parsing("x"):
        raise CheckpointError("mine")
    with pytest.raises(KeyboardInterrupt), parsing("x"):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(2, "No such file or directory", "/a/b"), "No such file or directory"),
        (KeyError("id"), "KeyError: 'id'"),
        (ValueError("a\n  b"), "a b"),
        (ValueError("cannot identify image file <_io.BytesIO object at 0x7f1>"),
         "cannot identify image file"),
        (ValueError("x" * 10_000), "x" * 300 + "…"),
        (EOFError(), "EOFError"),
        (MemoryError(), "it takes more memory than there is"),
        (RecursionError("maximum …"), "it is nested too deeply"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line_that_is_equal_in_every_run(error: Exception, said: str) -> None:
    assert reason(error) == said


def test_a_broken_file_of_the_cache_is_none(tmp_path: Path) -> None:
    assert unless_broken(lambda: 3) == 3
    assert unless_broken(lambda: (tmp_path / "x").read_text()) is None
