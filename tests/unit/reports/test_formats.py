import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from vitbench.records import Record
from vitbench.reports import formats
from vitbench.reports.table import Table, build_table
from vitbench.reports.terminal import show

MakeRecord = Callable[..., Record]
KEYS = [
    "checkpoint",
    "protocol",
    "spec_id",
    "dataset",
    "metric",
    "value",
    "low",
    "high",
    "source",
    "marks",
    "preset",
    "arch",
    "items",
    "seed",
    "against",
    "p",
]
HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|'/C calc'!A0",
    "@SUM(1)",
    "\x1b[2J\x1b]0;owned\x07",
    "a|b `c` [d](http://x)",
    "\\input{/etc/passwd} $x$ %",
    "line\nbreak\r",
    "\u202egnp.exe",
    "x" * 5000,
)


def scores_of(table: Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(formats.json(table))["scores"]
    return found


def terminal(table: Table, width: int = 200) -> str:
    stream = io.StringIO()
    show(table, Console(file=stream, width=width, force_terminal=True, color_system=None))
    return stream.getvalue()


def test_json_holds_the_scores_at_full_precision(make_record: MakeRecord) -> None:
    rows = scores_of(build_table([make_record("a", 80.123456789)]))
    assert [list(row) for row in rows] == [KEYS]
    assert rows[0] == {
        "checkpoint": "a",
        "protocol": "knn",
        "spec_id": "s" * 64,
        "dataset": "shapes/val@ffffffff",
        "metric": "top1_k20",
        "value": 80.123456789,
        "low": 78.123456789,
        "high": 82.123456789,
        "source": "measured",
        "marks": [],
        "preset": "",
        "arch": "",
        "items": 100,
        "seed": 0,
        "against": "",
        "p": None,
    }


def test_csv_has_the_rows_of_json(make_record: MakeRecord) -> None:
    table = build_table([make_record()], compare=("small", "esvit"))
    rows = list(csv.DictReader(io.StringIO(formats.csv(table))))
    assert [row["checkpoint"] for row in rows] == [row["checkpoint"] for row in scores_of(table)]
    assert {row["source"] for row in rows} == {"measured", "published"}


def test_the_best_is_bold_and_the_interval_shown(make_record: MakeRecord) -> None:
    table = build_table([make_record("a", 80.0), make_record("b", 70.0)])
    assert "| a | **80.0 [78.0, 82.0]** |" in formats.markdown(table)
    assert r"a & \textbf{80.0 [78.0, 82.0]} \\" in formats.latex(table)
    assert "80.0 [78.0, 82.0]" in terminal(table)


def test_printed_rows_look_different_in_every_form() -> None:
    table = build_table([], compare=("dino", "selfpatch", "esvit"))
    assert "| *55.1* |" in formats.markdown(table)
    assert r"\textit{55.1}" in formats.latex(table)
    assert "published" in terminal(table)
    assert {row["source"] for row in scores_of(table)} == {"published"}


def test_latex_says_once_what_the_names_of_all_printed_rows_end_with() -> None:
    text = formats.latex(build_table([], compare=("dino", "selfpatch")))
    assert r"printed rows: ViT-Ti/16 \(\cdot\) COCO \(\cdot\) Table 3." in text
    assert "\nDINO & " in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_metric_is_shown_whatever_the_width_of_the_terminal(width: int) -> None:
    text = terminal(build_table([], compare=("dino", "selfpatch", "esvit")), width)
    for value in ("28.0", "48.8", "28.4", "26.9", "45.8", "27.7", "55.1", "52.8", "57.4"):
        assert value in text


@pytest.mark.parametrize("width", [80, 150])
def test_names_stand_whole_at_the_widths_of_terminals(make_record: MakeRecord, width: int) -> None:
    names = ["vit_tiny_patch16_224_in1k_supervised", "random-vit_small_patch16_dinov3-seed0"]
    text = terminal(build_table([make_record(name) for name in names]), width)
    assert all(name in text for name in names)
    assert max(map(len, text.splitlines())) <= width


def test_names_turn_over_between_words_where_a_terminal_is_too_narrow(
    make_record: MakeRecord,
) -> None:
    text = terminal(build_table([make_record("one-very_long-name_of-a_checkpoint")]), 44)
    assert "one-very_long-" in text
    assert "\n name_of" in text or "\n  name_of" in text or "name_of-" in text


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_harmless_in_every_form(make_record: MakeRecord, name: str) -> None:
    table = build_table([make_record(name), make_record("fine", 1.0)])
    assert scores_of(table)[0]["checkpoint"] == name
    assert "\x1b" not in formats.json(table)

    for cells in csv.reader(io.StringIO(formats.csv(table))):
        assert not cells[0].startswith(("=", "+", "-", "@", "\t", "\r"))

    text = formats.markdown(table)
    assert "<script" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1
    assert "[d](" not in text

    text = formats.latex(table)
    assert "\\input" not in text
    assert "\x1b" not in text

    text = terminal(table)
    assert "\x1b]" not in text
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert max(map(len, text.splitlines())) <= 200


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e308, -1e308, None])
def test_numbers_out_of_reach_are_harmless_in_every_form(
    make_record: MakeRecord, value: float | None
) -> None:
    table = build_table([make_record("odd", value), make_record("fine", 1.0)])
    rows = scores_of(table)
    assert rows[0]["value"] in (None, 1e308, -1e308)
    for text in (formats.csv(table), formats.markdown(table), formats.latex(table)):
        assert max(map(len, text.splitlines())) < 400
    assert "fine" in terminal(table)


def test_what_is_left_out_is_named(make_record: MakeRecord) -> None:
    text = formats.markdown(build_table([make_record("gone", status="failed")]))
    assert "failed: gone on knn" in text
