"""Files that a stranger left in a results folder: each is read, or named and passed over."""

import io
import json
import os
import signal
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitbench import bounds
from vitbench.errors import RecordError
from vitbench.records import (
    Record,
    Unreadable,
    read_items,
    read_record,
    read_records,
    write_record,
)
from vitbench.records.regular import regular_arrays
from vitbench.reports.published import published_records


@pytest.fixture
def record() -> Record:
    found = next(record for record in published_records() if record.protocol.name == "davis")
    return replace(found, source="measured", items="x.items.npz")


@contextmanager
def seconds(most: int) -> Iterator[None]:
    """Fail instead of waiting for ever."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(most)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.mkdir(),
    ],
    ids=["pipe", "device", "loop", "dead link", "folder"],
)
def test_what_is_no_file_is_named_and_passed_over(
    record: Record, tmp_path: Path, make: Callable[[Path], object]
) -> None:
    good = write_record(record, tmp_path)
    make(good.parent / "odd.json")
    make(good.parent / "x.items.npz")
    with seconds(10):
        found = list(read_records(tmp_path))
        with pytest.raises(RecordError, match=r"x\.items\.npz' can't be read"):
            read_items(record, tmp_path)
    assert record in found
    assert [item.path.name for item in found if isinstance(item, Unreadable)] == ["odd.json"]


def test_a_record_without_end_is_passed_over(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_record(record, tmp_path)
    monkeypatch.setattr("vitbench.records.store.LARGEST_RECORD", path.stat().st_size - 1)
    with pytest.raises(RecordError) as raised:
        read_record(path)
    assert "larger than" in raised.value.found


@pytest.mark.parametrize("change", [{"items": "a\0b"}, {"artifacts": {"picture": "a\0.png"}}])
def test_a_file_name_with_a_nul_is_no_records(
    record: Record, tmp_path: Path, change: dict[str, object]
) -> None:
    path = write_record(record, tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RecordError) as raised:
        read_record(path)
    assert "NUL" in raised.value.found


def claim(count: int, held: int) -> bytes:
    """Return an array file that says it has `count` numbers and holds `held`."""
    stream = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (count,)}
    np.lib.format.write_array_header_1_0(stream, header)
    stream.write(b"\0" * 8 * held)
    return stream.getvalue()


@pytest.mark.parametrize("count", [2, 10**9, 10**12, 10**30, -4])
def test_arrays_that_claim_more_than_they_hold_are_refused_before_memory_is_taken(
    tmp_path: Path, record: Record, count: int
) -> None:
    (tmp_path / "davis").mkdir()
    with zipfile.ZipFile(tmp_path / "davis" / "x.items.npz", "w") as archive:
        archive.writestr("jf_mean.npy", claim(count, 1))
    with pytest.raises(RecordError) as raised:
        read_items(record, tmp_path)
    assert "claims" in raised.value.found


def test_arrays_that_unpack_to_too_much_are_refused(
    tmp_path: Path, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "davis").mkdir()
    path = tmp_path / "davis" / "x.items.npz"
    np.savez_compressed(path, jf_mean=np.zeros(100_000))
    assert len(read_items(record, tmp_path)["jf_mean"]) == 100_000
    monkeypatch.setattr("vitbench.records.store.LARGEST_ITEMS", 100_000)
    with pytest.raises(RecordError) as raised:
        read_items(record, tmp_path)
    assert "unpacked" in raised.value.found
    assert path.stat().st_size < 100_000  # small on disk: only the claim tells


def test_the_limits_leave_room_for_any_record_of_ours() -> None:
    assert bounds.LARGEST_RECORD >= 32 * 2**20
    assert bounds.LARGEST_ITEMS >= 2**31


def test_text_that_is_no_unicode_is_refused_where_it_is_read(tmp_path: Path) -> None:
    letters = np.array([0x110000, 65], "<u4").view("<U2")
    for array in (letters, letters.byteswap().view(letters.dtype.newbyteorder())):
        np.savez(tmp_path / "x.items.npz", ids=array)
        with pytest.raises(ValueError, match="ids holds text that is no Unicode"):
            regular_arrays(tmp_path / "x.items.npz", 1 << 20)
