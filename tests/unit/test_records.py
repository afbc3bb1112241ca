import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vitbench.errors import RecordError
from vitbench.records import (
    Cost,
    Environment,
    ProtocolRef,
    Record,
    RecordedScore,
    Subject,
    Unreadable,
    find_record,
    json_schema,
    read_items,
    read_record,
    read_records,
    write_record,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def record() -> Record:
    return Record(
        id="a1b2c3d4e5",
        status="ok",
        subject=Subject(kind="checkpoint", name="../../escape me", sha256="00"),
        protocol=ProtocolRef(name="knn", version=1, spec_id="spec", settings={"k": 20}),
        dataset=None,
        seed=0,
        scores=(
            RecordedScore(
                metric="top1_k20",
                label="top-1",
                value=1 / 3,
                unit="%",
                higher_is_better=True,
                primary=True,
                items=3,
            ),
        ),
        environment=Environment(
            vitbench="0",
            python="3",
            platform="",
            packages={},
            device="cpu",
            precision="fp32",
            processes=1,
        ),
        cost=Cost(seconds=1.0),
        started_at="2026-01-01T00:00:00+00:00",
        items="x.items.npz",
    )


def test_a_record_comes_back_as_it_was(record: Record, tmp_path: Path) -> None:
    path = write_record(record, tmp_path)
    assert read_record(path) == record
    assert list(read_records(tmp_path)) == [record]


def test_a_name_never_leaves_the_results_folder(record: Record, tmp_path: Path) -> None:
    assert write_record(record, tmp_path / "results").parent == tmp_path / "results" / "knn"


def test_per_item_scores_lie_beside_the_record(record: Record, tmp_path: Path) -> None:
    items = {"ids": np.array(["a", "b"]), "top1_k20": np.array([0.0, 100.0])}
    path = write_record(record, tmp_path, items)
    record = replace(record, items=path.with_suffix(".items.npz").name)
    found = read_items(record, tmp_path)
    assert found["ids"].tolist() == ["a", "b"]
    assert found["top1_k20"].tolist() == [0.0, 100.0]


def test_missing_per_item_scores_are_named(record: Record, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"x\.items\.npz"):
        read_items(record, tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSONDecodeError"),
        ("[1, 2]", "object"),
        ('{"schema": 99}', "schema 99"),
        ('{"schema": 1, "id": "x"}', "status"),
        ("[" * 100_000, "RecursionError"),
    ],
)
def test_what_is_no_record_is_named_and_passed_over(
    record: Record, tmp_path: Path, text: str, reason: str
) -> None:
    write_record(record, tmp_path)
    (tmp_path / "knn" / "other.json").write_text(text)
    found = list(read_records(tmp_path))
    bad = [item for item in found if isinstance(item, Unreadable)]
    assert len(found) == 2
    assert reason in bad[0].reason


def test_only_a_finished_record_of_the_same_run_counts_as_done(
    record: Record, tmp_path: Path
) -> None:
    write_record(replace(record, status="failed"), tmp_path)
    assert find_record(tmp_path, "knn", record.id) is None
    write_record(record, tmp_path)
    assert find_record(tmp_path, "knn", record.id) == record
    assert find_record(tmp_path, "knn", record.id[:8] + "other") is None


def test_the_published_schema_is_that_of_the_code() -> None:
    """`python -m vitbench.records > docs/record.schema.json` renews it."""
    published = json.loads((ROOT / "docs" / "record.schema.json").read_text())
    assert published == json_schema()
