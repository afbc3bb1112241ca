from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitbench.records import Record, RecordFiles, stem, write_record
from vitbench.reports.published import published_records


@pytest.fixture
def record() -> Record:
    found = next(record for record in published_records() if record.protocol.name == "davis")
    return replace(found, source="measured", id="a" * 64)


def test_a_record_goes_with_its_items_and_artifacts_and_nothing_else(
    record: Record, tmp_path: Path
) -> None:
    path = write_record(record, tmp_path, {"ids": np.array(["a"])})
    other = write_record(replace(record, id="b" * 64), tmp_path, {"ids": np.array(["a"])})
    (path.with_suffix("") / "masks").mkdir(parents=True)
    (path.with_suffix("") / "masks" / "0.png").write_bytes(b"123")
    files = RecordFiles(path, stem(record))
    assert len(list(files.present())) == 3
    assert files.size_bytes >= 3 + path.stat().st_size
    files.remove()
    assert sorted(file.name for file in path.parent.iterdir()) == [
        other.with_suffix(".items.npz").name,
        other.name,
    ]
    files.remove()  # a second time there is nothing to do


def test_a_link_is_removed_and_what_it_points_to_stays(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path / "results")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    path.with_suffix("").symlink_to(tmp_path / "mine")
    RecordFiles(path, stem(record)).remove()
    assert not list(path.parent.iterdir())
    assert (tmp_path / "mine" / "file").exists()


def test_a_renamed_record_takes_no_folder_of_that_name_with_it(
    record: Record, tmp_path: Path
) -> None:
    path = write_record(record, tmp_path)
    renamed = path.rename(path.with_name("package.json"))
    (path.parent / "package").mkdir()
    RecordFiles(renamed, stem(record)).remove()
    assert [file.name for file in path.parent.iterdir()] == ["package"]
