import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from vitbench.records import ErrorRef, Record
from vitbench.reports import marks
from vitbench.reports.render import Form, render
from vitbench.reports.table import Table, build_table

MakeRecord = Callable[..., Record]
FAILED_GATE = {"gate": "failed: 20-NN below the pixels", "gate_passed": False}
FORMS: tuple[Form, ...] = ("rich", "markdown", "latex", "html", "csv", "json")


def words(text: str) -> str:
    """Join the lines of a table that was wrapped."""
    return " ".join(text.split())


def shown(table: Table, form: Form) -> str:
    return words(render(table, form))


@pytest.mark.parametrize("form", FORMS)
def test_a_subset_is_marked_in_every_form(make_record: MakeRecord, form: Form) -> None:
    table = build_table([make_record(data={"items": 100, "of_items": 3925})])
    assert "a subset: 100 of 3,925 images" in shown(table, form)
    assert "subset" not in shown(build_table([make_record()]), form)


@pytest.mark.parametrize("form", FORMS)
def test_built_in_data_is_marked_in_every_form(make_record: MakeRecord, form: Form) -> None:
    table = build_table([make_record(data={"name": "synthetic"})])
    assert "built-in synthetic data" in shown(table, form)


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_gate_is_marked_in_every_form(make_record: MakeRecord, form: Form) -> None:
    table = build_table([make_record("odd", subject=FAILED_GATE), make_record("fine", 70.0)])
    text = shown(table, form)
    assert "sanity check failed: 20-NN below the pixels" in text
    if form == "rich":
        assert "odd †" in text
        assert "fine †" not in text


@pytest.mark.parametrize("form", FORMS)
def test_a_failed_run_is_named_in_every_form(make_record: MakeRecord, form: Form) -> None:
    failed = make_record(
        "gone", status="failed", scores=(), error=ErrorRef(kind="E", message="no room")
    )
    assert "failed: no room" in shown(build_table([failed]), form).replace(
        "failed: gone on knn:", "failed:"
    )


def test_marks_are_a_list_in_json_and_one_cell_in_csv(make_record: MakeRecord) -> None:
    record = make_record(data={"name": "synthetic", "of_items": 200}, subject=FAILED_GATE)
    table = build_table([record])
    (row,) = json.loads(render(table, "json"))["scores"]
    assert row["marks"] == [
        "a subset: 100 of 200 images",
        "built-in synthetic data",
        "sanity check failed: 20-NN below the pixels",
    ]
    (cells,) = csv.DictReader(io.StringIO(render(table, "csv")))
    assert cells["marks"] == "; ".join(row["marks"])


@pytest.mark.parametrize(
    ("told", "failed"),
    [
        ({"gate": "failed: x"}, True),  # as the first schema has it
        ({"gate": "passed: x"}, False),
        ({"gate": ""}, False),
        ({"gate": "20-NN below the pixels", "gate_passed": False}, True),
        ({"gate": "passed: x", "gate_passed": True}, False),
    ],
)
def test_a_gate_is_judged_by_its_outcome_and_in_old_records_by_its_words(
    make_record: MakeRecord, told: dict[str, Any], failed: bool
) -> None:
    subject = make_record(subject=told).subject
    assert marks.gate_failed(subject) is failed
    if failed:
        assert marks.gate_text(subject).startswith("failed: ")


def test_the_title_of_a_board_tells_of_how_many_items(make_record: MakeRecord) -> None:
    (board,) = build_table([make_record(data={"kind": "clips", "items": 8, "of_items": 30})]).boards
    assert board.title.endswith("8 of 30 clips")


@pytest.mark.parametrize("form", FORMS)
def test_a_checkpoint_of_a_stopped_training_is_marked_in_every_form(
    make_record: MakeRecord, form: Form
) -> None:
    stopped, done = ({"training": (step, 3000)} for step in (1200, 3000))
    table = build_table([make_record("early", 60.0, subject=stopped), make_record(subject=done)])
    assert shown(table, form).count("its training stopped at step 1,200 of 3,000") >= 1
    assert "step 3,000" not in shown(table, form)
