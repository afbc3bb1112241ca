"""Printed scores of manifests against measured ones."""

from dataclasses import replace
from pathlib import Path

import pytest

import vitbench
from tests.unit.reports.conftest import knn_record
from vitbench.errors import CheckpointError, SettingError, UnknownName
from vitbench.records import Record, read_records
from vitbench.studies.reproduction import (
    OFFICIAL,
    ledger,
    official_scores,
    reproduction_of,
)

DOCS = Path(vitbench.__file__).parent.parent / "docs"


def measured(value: float) -> Record:
    record = knn_record("dino-vits16", value, data=IMAGENET, protocol={"preset": "dino"})
    environment = replace(record.environment, git_commit="0123456789abcdef", device="NVIDIA H100")
    return replace(record, environment=environment)


IMAGENET = {"items": 50_000}


def test_the_study_of_a_checkpoint_has_a_column_for_each_printed_score() -> None:
    study = reproduction_of("dino-vits16", ["davis=elsewhere"])
    told = {column.name: (column.on, column.data, column.metrics) for column in study.columns}
    assert told["knn"] == ("knn@dino", "", ("top1_k20",))
    assert told["davis"] == ("davis@dino-2021", "elsewhere", ("jf_mean",))


def test_a_name_that_is_no_manifest_or_has_no_score_is_refused() -> None:
    with pytest.raises(UnknownName):
        reproduction_of("nothing")
    with pytest.raises(CheckpointError, match="has no printed score"):
        reproduction_of("selfpatch-vits16")


@pytest.mark.parametrize(
    ("value", "verdict"), [(74.9, "reproduced"), (74.1, "reproduced"), (73.9, "not reproduced")]
)
def test_the_ledger_tells_printed_measured_commit_date_and_device(
    value: float, verdict: str
) -> None:
    line = ledger([measured(value)]).strip().splitlines()[-1].replace("\\", "")
    assert line == (
        "| dino-vits16 | knn dino | top-1 (k=20) | 74.5 | README of facebookresearch/dino |"
        f" {value} [{value - 2:.1f},"
        f" {value + 2:.1f}] | {value - 74.5:+.1f} | {verdict} | 0123456789ab | 2026-01-01"
        " | NVIDIA H100 |"
    )


def test_a_run_by_other_settings_or_on_other_data_is_not_in_the_ledger() -> None:
    preset = knn_record("dino-vits16", 74.5, data=IMAGENET)
    data = knn_record("dino-vits16", 74.5, protocol={"preset": "dino"})
    assert "Nothing has been measured yet." in ledger([preset, data])


def test_what_an_official_script_gave_is_known_by_the_weights(tmp_path: Path) -> None:
    (tmp_path / OFFICIAL).write_text(
        f"""
[[scores]]
checkpoint = "{"a" * 64}"
protocol = "knn"
preset = "dino"
items = 100
metric = "top1_k20"
value = 80.2
source = "eval_knn.py"
"""
    )
    record = knn_record("any name", 80.0, protocol={"preset": "dino"})
    text = ledger([record], official_scores(tmp_path))
    assert "| any name | knn dino | top-1 (k=20) | 80.2 | eval_knn.py | 80.0" in text
    assert "-0.2 | reproduced |" in text


def test_a_broken_file_of_official_scores_is_refused(tmp_path: Path) -> None:
    (tmp_path / OFFICIAL).write_text("[[scores]]\nvalue = 'high'")
    with pytest.raises(SettingError, match="can't be read"):
        official_scores(tmp_path)


def test_the_ledger_in_docs_is_that_of_its_records() -> None:
    found = [one for one in read_records(DOCS / "reproduced") if isinstance(one, Record)]
    assert (DOCS / "reproduced.md").read_text() == ledger(
        found, official_scores(DOCS / "reproduced")
    )
