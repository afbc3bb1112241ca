import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from vitbench.engine.feature_store import Batches, is_whole
from vitbench.errors import CacheError

ROWS = (4, 4, 2)
WIDTHS = {"a": 3, "b": 5}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def batches(store: Path) -> Batches:
    store.mkdir(exist_ok=True)
    return Batches(store, "tag", ROWS, WIDTHS)


def rows(number: int) -> np.ndarray:
    first = 1000 * number + 10 * np.arange(ROWS[number], dtype=np.float32)
    return first[:, None] + np.arange(sum(WIDTHS.values()), dtype=np.float32)


def write(kept: Batches, *numbers: int) -> None:
    with kept.writer(len(numbers)) as writer:
        for number in numbers:
            writer.write(number, rows(number))


def places(store: Path) -> dict[str, Path]:
    return {key: store / f"{key}.npy" for key in WIDTHS}


def test_arrays_are_put_together_of_what_several_processes_finished(tmp_path: Path) -> None:
    kept = batches(tmp_path)
    write(kept, 2, 0)
    assert not kept.put_together(places(tmp_path))
    write(kept, 1)
    assert kept.put_together(places(tmp_path))
    whole = np.concatenate([rows(number) for number in range(3)])
    for (key, width), expected in zip(WIDTHS.items(), np.split(whole, [3], axis=1), strict=True):
        assert np.array_equal(np.load(tmp_path / f"{key}.npy"), expected)
        assert is_whole(tmp_path / f"{key}.npy", (10, width))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "b.npy"]


def test_whatever_byte_a_kill_cuts_at_whole_batches_count_and_others_do_not(tmp_path: Path) -> None:
    kept = batches(tmp_path)
    write(kept, 0, 1)
    (part,) = tmp_path.glob("*.part")
    content, found = part.read_bytes(), set()
    for size in range(0, len(content) + 1, 7):
        part.write_bytes(content[:size] + bytes(50))  # room that was taken and not yet written
        found.add(tuple(kept.finished()))
    assert found == {(), (0,)}
    part.write_bytes(content)
    assert tuple(kept.finished()) == (0, 1)


def test_a_flipped_bit_is_no_batch(tmp_path: Path) -> None:
    kept = batches(tmp_path)
    write(kept, 0, 1)
    (part,) = tmp_path.glob("*.part")
    content = bytearray(part.read_bytes())
    content[60] ^= 1
    part.write_bytes(content)
    assert not kept.finished()


@pytest.mark.parametrize("cut", [0, 10, 100, -1])
def test_an_array_that_is_cut_off_is_made_again(cut: int, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((10, 3), np.float32))
    assert is_whole(tmp_path / "x.npy", (10, 3))
    assert not is_whole(tmp_path / "x.npy", (11, 3))
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:cut])
    assert not is_whole(tmp_path / "x.npy", (10, 3))


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 50, 300])
def test_a_full_disk_is_one_clear_error_and_the_next_run_mends(size: int, tmp_path: Path) -> None:
    kept = batches(tmp_path)
    with file_size_limit(size), pytest.raises(CacheError, match="could not be written"):
        write(kept, 0, 1, 2)
    write(kept, *sorted({0, 1, 2} - {*kept.finished()}))
    with file_size_limit(size // 2), pytest.raises(CacheError, match="could not be written"):
        kept.put_together(places(tmp_path))
    assert kept.put_together(places(tmp_path))
    assert names(tmp_path) == ["a.npy", "b.npy"]
