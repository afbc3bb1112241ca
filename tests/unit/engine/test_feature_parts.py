from pathlib import Path

import numpy as np
import pytest

from vitbench.engine.feature_parts import Parts

SIZES = (2, 2, 1)


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return Parts(tmp_path, "tag", widths=(1, 2), sizes=SIZES)


def rows(batch: int) -> np.ndarray:
    return np.arange(3 * SIZES[batch], dtype=np.float32).reshape(-1, 3) + 100 * batch


def test_files_of_several_processes_become_one_array_for_each_output(
    parts: Parts, tmp_path: Path
) -> None:
    with parts.part(0) as first, parts.part(1) as second:
        second.add(1, rows(1))
        first.add(2, rows(2))
        first.add(0, rows(0))
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    parts.merge(paths)
    whole = np.concatenate([rows(batch) for batch in range(3)])
    narrow, wide = map(np.load, paths)
    np.testing.assert_array_equal(narrow, whole[:, :1])
    np.testing.assert_array_equal(wide, whole[:, 1:])
    assert sorted(tmp_path.iterdir()) == paths


def test_a_batch_counts_only_when_all_of_it_is_on_the_disk(parts: Parts, tmp_path: Path) -> None:
    with parts.part(0) as part:
        part.add(0, rows(0))
        part.add(1, rows(1))
    with (tmp_path / "journal.tag.0.part").open("a") as journal:
        journal.write("2")  # killed before the line was whole
    assert parts.done() == {0, 1}
    file = tmp_path / "rows.tag.0.part"
    file.write_bytes(file.read_bytes()[:-1])  # the machine went down before the rows were written
    assert parts.done() == {0}


def test_files_of_another_pass_are_left_alone(parts: Parts, tmp_path: Path) -> None:
    with Parts(tmp_path, "other", widths=(3,), sizes=(2,)).part(4) as part:
        part.add(0, rows(0))
    assert parts.done() == set()
    assert parts.next_number() == 0
