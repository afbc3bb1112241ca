"""Bundles: written, read beside one's own records, and refused when they were changed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.cli.report import run
from vitbench.errors import RecordError
from vitbench.records import Record, Unreadable, stem, write_record
from vitbench.reports.folders import read_folders

MakeRecord = Callable[..., Record]


def keep(folder: Path, record: Record, right: int) -> Record:
    """Write a record with its items, a picture and a folder of predictions."""
    values = 100.0 * (np.arange(200) < right)
    name = stem(record)
    record = replace(
        record,
        items=f"{name}.items.npz",
        artifacts={"image 3.png": f"{name}/3.png", "predictions": f"{name}/predictions"},
    )
    home = write_record(record, folder, {"ids": np.arange(200).astype(str), "top1_k20": values})
    (home.parent / name / "predictions").mkdir(parents=True)
    (home.parent / name / "predictions" / "0.png").write_text("large")
    Image.new("RGB", (8, 8)).save(home.parent / name / "3.png")
    return record


@pytest.fixture
def bundle(make_record: MakeRecord, tmp_path: Path) -> Path:
    keep(tmp_path / "theirs", make_record("theirs", 60.0), 120)
    target = tmp_path / "bundle"
    assert run([str(tmp_path / "theirs"), "--bundle", str(target)]) == 0
    return target


def test_a_bundle_is_whole_and_its_hashes_are_right(bundle: Path) -> None:
    lines = (bundle / "SHA256SUMS").read_text().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    there = {
        path.relative_to(bundle).as_posix()
        for path in bundle.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    assert set(listed) == there
    assert {"report.html", "record.schema.json"} < there
    assert sorted(Path(name).suffix for name in there if name.startswith("records/")) == [
        ".json",
        ".npz",
        ".png",
    ]
    for name, digest in listed.items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
    assert "properties" in json.loads((bundle / "record.schema.json").read_text())


def test_a_bundle_stands_beside_one_s_own_records_and_is_compared(
    bundle: Path, make_record: MakeRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(tmp_path / "mine", make_record("mine", 90.0), 180)
    capsys.readouterr()
    assert run([str(tmp_path / "mine"), str(bundle), "--format", "markdown"]) == 0
    text = capsys.readouterr().out
    assert "mine wins, sure" in text
    assert "mine is better than theirs: top-1 (k=20) +30.00" in text


def test_a_run_that_two_folders_hold_is_read_once(bundle: Path, tmp_path: Path) -> None:
    records, homes = read_folders([tmp_path / "theirs", bundle])
    assert [record.subject.name for record in records if isinstance(record, Record)] == ["theirs"]
    assert homes == (tmp_path / "theirs", bundle / "records")


def test_another_record_of_the_same_run_is_named_and_left_out(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    record = keep(tmp_path / "mine", make_record("run", 90.0), 180)
    write_record(replace(record, seed=1), tmp_path / "theirs")
    records, _ = read_folders([tmp_path / "mine", tmp_path / "theirs"])
    assert [type(one) for one in records] == [Record, Unreadable]
    assert "another record of its run" in records[1].reason  # type: ignore[union-attr]


@pytest.mark.parametrize("change", ["edit", "add", "remove"])
def test_a_bundle_that_was_changed_is_refused(bundle: Path, change: str) -> None:
    path = next((bundle / "records").rglob("*.json"))
    if change == "edit":
        path.write_text(path.read_text().replace('"value": 60.0', '"value": 99.0'))
    elif change == "add":
        (path.parent / "new.json").write_text("{}")
    else:
        path.unlink()
    with pytest.raises(RecordError, match="is not what its SHA256SUMS says"):
        read_folders([bundle])


def test_a_folder_that_is_there_is_not_written_over(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="is there already"):
        run([str(tmp_path / "theirs"), "--bundle", str(bundle)])


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"no results folder .*nowhere"):
        run([str(tmp_path / "nowhere"), "--compare", "dino"])
