"""The table of a study: measured, printed, difference, and what became of the claims."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.studies.conftest import TWO, Answer
from vitbench.reports.study_forms import render_study
from vitbench.studies.cell_state import states_of
from vitbench.studies.matrix import Study
from vitbench.studies.read_study import read_study
from vitbench.studies.row_facts import facts_of, parameters
from vitbench.studies.show import study_table

CLAIMED = (
    TWO.replace(
        "[rows.other]", 'printed = "dino-vits16"\nabout = { epochs = 300 }\n[rows.other]'
    ).replace("[columns.knn]", '[columns.knn]\nprinted = "knn"')
    + """
[[claims]]
better = "one"
than = "other"
columns = ["knn"]
"""
)


def shown(study: Study, results: Path, form: str) -> str:
    states = states_of(results, study)
    return render_study(study_table(study, results, states), form)  # type: ignore[arg-type]


def leave(study: Study, answer: Answer, one: float, other: float) -> None:
    """Leave k-NN records of both rows whose single images are right by these chances."""
    generator = np.random.default_rng(0)
    data = {"items": 50000}
    for cell, value in zip((study.cells[0], study.cells[2]), (one, other), strict=True):
        right = (generator.random(400) < value / 100).astype(float) * 100
        items = {"ids": np.arange(400).astype(str), "top1_k20": right}
        answer(cell, value, items, data=data, protocol={"preset": "dino"})


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [
        (80.0, 40.0, "holds"),
        (40.0, 80.0, "is contradicted"),
        (60.0, 60.5, "is not distinguishable from chance"),
    ],
)
def test_a_claim_is_judged_by_the_paired_test(
    results: Path, answer: Answer, one: float, other: float, verdict: str
) -> None:
    study = read_study(CLAIMED, "two")
    leave(study, answer, one, other)
    text = shown(study, results, "markdown").replace("\\", "")
    assert f"one above other on knn {verdict}: top-1 (k=20)" in text


def test_a_printed_value_stands_beside_the_measured_one_with_their_difference(
    results: Path, answer: Answer
) -> None:
    study = read_study(CLAIMED, "two")
    leave(study, answer, 75.0, 40.0)
    text = shown(study, results, "markdown").replace("\\", "")
    assert "| one | 300 | **75.0 [73.0, 77.0] · 74.5 · +0.5** | missing |" in text
    cells = json.loads(shown(study, results, "json"))["rows"][0]["cells"]
    assert [cells[0]["value"], cells[0]["printed"], cells[0]["comparable"]] == [75.0, 74.5, True]


def test_what_all_rows_have_is_told_once(results: Path) -> None:
    rows = {"one": 1, "two": 1, "three": 2, "four": None}
    tables = "".join(
        f'[rows.{name}]\ncheckpoint = "{name}"\nabout = {{ lab = "ours"'
        + (f", length = {length}, data = 'all'" if length else "")
        + " }\n"
        for name, length in rows.items()
    )
    text = shown(read_study(tables + "[columns.knn]\n", "rows"), results, "markdown")
    assert "\n\nall rows: lab ours\n\nall rows but four: data all\n\n" in text
    assert "|  | length | knn" in text


@pytest.mark.parametrize("data", [{}, {"name": "synthetic", "items": 50000}])
def test_on_other_data_no_difference_is_given(
    results: Path, answer: Answer, data: dict[str, Any]
) -> None:
    study = read_study(CLAIMED, "two")
    answer(study.cells[0], 75.0, data=data, protocol={"preset": "dino"})
    text = shown(study, results, "markdown").replace("\\", "")
    assert "75.0 [73.0, 77.0] · 74.5 |" in text
    assert "no difference is given where settings or data are not those" in text
    assert "one above other on knn can't be told: a score is missing" in text


def test_several_seeds_make_a_mean_with_its_spread(results: Path, answer: Answer) -> None:
    study = read_study("seeds = [0, 1]\n" + TWO, "two")
    assert study.cells[1].name == "one/knn#1"
    answer(study.cells[0], 70.0)
    answer(study.cells[1], 74.0)
    assert "72.0 ± 2.8 (2 seeds)" in shown(study, results, "markdown")


def test_in_a_terminal_a_table_too_wide_is_turned_round(results: Path) -> None:
    columns = "".join(
        f'[columns.far-away-{n}]\non = "knn"\ndata = "synthetic"\n' for n in range(12)
    )
    wide = shown(read_study(TWO + columns, "wide"), results, "rich").splitlines()
    assert next(line for line in wide if "far-away-7" in line).split()[-2:] == ["missing"] * 2
    narrow = shown(read_study(TWO, "two"), results, "rich").splitlines()
    assert next(line for line in narrow if line.strip().startswith("one")).count("missing") == 2


@pytest.mark.parametrize("form", ["rich", "markdown", "csv", "latex", "json", "html"])
def test_hostile_names_are_harmless_in_every_form(form: str, results: Path) -> None:
    text = TWO.replace("[rows.one]", "[rows.'<script>=$x|y']").replace("Two floors", "<b>")
    found = shown(read_study(text, "two"), results, form)
    assert "<script>" not in found or form in {"rich", "csv", "json"}
    if form == "html":
        assert "&lt;script&gt;" in found
        assert found.count("<tr>") == 3


def test_a_training_tells_its_own_length_and_data_whatever_the_file_says() -> None:
    text = """
[rows.trained]
recipe = "dino"
preset = "imagenet"
data = "imagenet"
split_list = "imagenet-10"
about = { epochs = 7, lab = "ours" }
[rows.published]
checkpoint = "dino-vits16"
about = { epochs = 800 }
[columns.knn]
"""
    trained, published = map(facts_of, read_study(text, "facts").rows)
    assert trained == {
        "parameters": "21.7 M",
        "pre-training": "imagenet (imagenet-10)",
        "epochs": "200",
        "lab": "ours",
    }
    assert published == {"parameters": "21.7 M", "epochs": "800"}
    assert parameters("vit_small_patch16_224") == 21_665_664  # as timm counts them
