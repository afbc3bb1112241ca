import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vitbench.data.plain_pickle import read_plain_pickle
from vitbench.errors import DatasetError


class Harmful:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_lists_numbers_and_arrays_are_read(tmp_path: Path, protocol: int) -> None:
    data = {
        "imlist": ["a", "b"],
        "gnd": [
            {
                "easy": np.array([1, 5, 2]),
                "hard": np.array([], dtype=np.int64),
                "bbx": [np.float64(1.5), 2.0, 3, None],
                "grid": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
            }
        ],
    }
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    found = read_plain_pickle(path)
    assert found["imlist"] == ["a", "b"]
    (entry,) = found["gnd"]
    assert entry["easy"].tolist() == [1, 5, 2]
    assert entry["hard"].tolist() == []
    assert entry["bbx"] == [1.5, 2.0, 3, None]
    assert entry["grid"].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_pickle_that_names_anything_else_is_refused_and_not_run(tmp_path: Path) -> None:
    path, made = tmp_path / "x.pkl", tmp_path / "made"
    path.write_bytes(pickle.dumps([Harmful(made)]))
    with pytest.raises(DatasetError, match="which would be run"):
        read_plain_pickle(path)
    assert not made.exists()


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps([1, 2])[:-3]])
def test_what_is_no_whole_pickle_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="can't be read"):
        read_plain_pickle(path)


def test_an_array_of_other_things_than_numbers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(np.array(["a"])))
    with pytest.raises(DatasetError, match="can't be read"):
        read_plain_pickle(path)
