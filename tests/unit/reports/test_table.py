from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from vitbench.errors import IncomparableRecords, UnknownName
from vitbench.records import Record, Unreadable, failure_of
from vitbench.reports.format_scores import write
from vitbench.reports.table import build_table

MakeRecord = Callable[..., Record]
OFFICIAL = {"name": "DAVIS", "split": "val", "kind": "clips", "items": 30}


def test_table_3_stands_in_the_report_before_anything_ran() -> None:
    table = build_table([], compare=("dino", "selfpatch", "esvit"))
    found = {
        (line.record.subject.method, metric): score.value
        for board in table.boards
        for line in board.entries
        for metric, score in line.scores.items()
    }
    printed = {
        "dino": (28.0, 48.8, 28.4, 26.9, 45.8, 27.7, 24.9, 73.4, 33.3, 55.1, 52.8, 57.4),
        "selfpatch": (30.7, 51.4, 32.2, 28.6, 48.2, 29.6, 29.5, 75.5, 39.2, 57.0, 56.1, 57.8),
        "esvit": (27.9, 49.0, 28.0, 26.9, 45.9, 27.7, 26.0, 73.5, 34.5, 53.5, 50.8, 56.2),
    }
    metrics = [
        "ap_box",
        "ap50_box",
        "ap75_box",
        "ap_mask",
        "ap50_mask",
        "ap75_mask",
        "miou",
        "aacc",
        "macc",
    ]
    metrics += ["jf_mean", "j_mean", "f_mean"]
    assert found == {
        (method, metric): value
        for method, values in printed.items()
        for metric, value in zip(metrics, values, strict=True)
    }


def test_a_method_of_no_common_table_is_shown_from_all_its_tables() -> None:
    table = build_table([], compare=("moco-v3",))
    methods = {line.record.subject.method for board in table.boards for line in board.entries}
    assert methods == {"moco-v3"}


def test_printed_rows_are_chosen_by_words() -> None:
    table = build_table([], compare=("selfpatch",), published="table 5 vit/8 k=4")
    values = {line.value("jf_mean") for board in table.boards for line in board.entries}
    assert 61.7 in values
    assert build_table([], compare=("selfpatch",), published="none").boards == ()


def test_a_run_of_the_preset_on_the_official_data_has_the_printed_row_beside_it(
    make_record: MakeRecord,
) -> None:
    run = make_record(
        "mine",
        54.0,
        data=OFFICIAL,
        protocol={"name": "davis", "preset": "dino-2021"},
        subject={"method": "dino", "arch": "vit_tiny_patch16_224"},
    )
    run = replace(run, scores=tuple(replace(score, metric="jf_mean") for score in run.scores))
    (board,) = build_table([run], compare=("mine",)).boards
    (gap,) = [row.gap for row in write(board) if not row.entry.published]
    assert gap == "-1.1 to Table 3"


def test_a_run_on_eight_clips_does_not_share_the_column_of_thirty(make_record: MakeRecord) -> None:
    run = make_record(
        "mine",
        data={**OFFICIAL, "items": 8},
        protocol={"name": "davis", "preset": "dino-2021"},
        subject={"method": "dino"},
    )
    for board in build_table([run], compare=("mine", "dino")).boards:
        assert len({line.published for line in board.entries}) == 1


def test_strict_refuses_runs_that_differ_and_names_the_setting(make_record: MakeRecord) -> None:
    other = make_record("other", protocol={"spec_id": "t", "settings": {"k": 10}})
    with pytest.raises(IncomparableRecords, match="k: 10 instead of 20"):
        build_table([make_record(), other], strict=True)


def test_an_unknown_name_is_refused_with_a_near_one(make_record: MakeRecord) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'selfpatch'"):
        build_table([make_record()], compare=("selfpach",))


def test_a_failed_run_is_told_of_until_another_try_succeeds(make_record: MakeRecord) -> None:
    done = make_record()
    failed = replace(done, id=failure_of(done.id), status="failed")
    other = replace(done, id=failure_of("another"), status="failed")
    assert build_table([failed, other]).failed == (failed, other)
    assert build_table([failed, done, other]).failed == (other,)


def test_files_that_are_no_records_and_failed_runs_are_kept_aside(make_record: MakeRecord) -> None:
    table = build_table([make_record(status="failed"), Unreadable(Path("x.json"), "no record")])
    assert table.boards == ()
    assert len(table.failed) == len(table.skipped) == 1


def test_a_manifest_is_compared_by_its_name() -> None:
    table = build_table([], compare=("dino-vits16", "dino-vitb8"))
    names = {line.name for board in table.boards for line in board.entries}
    assert names == {"dino-vits16 · as printed", "dino-vitb8 · as printed"}
    assert table.hidden == 0


def test_names_in_an_error_are_short_and_without_control_characters(
    make_record: MakeRecord,
) -> None:
    with pytest.raises(UnknownName) as raised:
        build_table([make_record("\x1b[31m" + "A" * 500)], compare=("nobody",))
    assert "\x1b" not in str(raised.value)
    assert "A" * 100 not in str(raised.value)
