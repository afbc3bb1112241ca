"""State is what lies on the disk: a record that is there, a claim, an error."""

import os
from pathlib import Path

from tests.unit.studies.conftest import TWO, Answer
from vitbench.studies.cell_state import Kept, folder_of, keep, state_of, states_of
from vitbench.studies.lease import claimed
from vitbench.studies.matrix import Study
from vitbench.studies.plan import plan_lines, summary
from vitbench.studies.read_study import read_study


def test_a_cell_is_done_as_long_as_its_record_is_there(
    two: Study, results: Path, answer: Answer
) -> None:
    cell = two.cells[0]
    assert state_of(results, cell).kind == "missing"
    record = answer(cell)
    assert state_of(results, cell).record == record
    assert state_of(results, two.cells[1]).kind == "missing"
    next((results / "knn").glob("*.json")).unlink()
    assert state_of(results, cell).kind == "missing"


def test_a_claimed_cell_runs_and_a_failed_one_tells_how_to_repeat_it(
    two: Study, results: Path
) -> None:
    cell = two.cells[0]
    folder = folder_of(results, cell)
    with claimed(folder):
        assert state_of(results, cell).kind == "running"
    keep(folder, Kept("two", cell.name, cell.request, error="no memory", command="vitbench again"))
    state = state_of(results, cell)
    assert (state.kind, state.error, state.command) == ("failed", "no memory", "vitbench again")
    lines = plan_lines(two, results, states_of(results, two))
    assert "one/knn failed: no memory\n  again: vitbench again" in lines


def test_a_changed_file_makes_the_cell_open_again(
    results: Path, answer: Answer, tmp_path: Path
) -> None:
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"one")
    cell = read_study(TWO.replace("random:vit_micro_patch8_64", "w.pth", 1), "two").cells[0]
    answer(cell)
    assert state_of(results, cell).kind == "done"
    weights.write_bytes(b"other")
    assert state_of(results, cell).kind == "missing"


def test_a_label_file_or_an_image_more_makes_the_cells_of_the_data_open_again(
    results: Path, answer: Answer, tmp_path: Path
) -> None:
    images = tmp_path / "set" / "val" / "cat"
    images.mkdir(parents=True)
    cell = read_study(TWO.replace('"synthetic"', '"set"'), "two").cells[0]
    for change in (images / "1.png", tmp_path / "set" / "labels.txt"):
        answer(cell)
        assert state_of(results, cell).kind == "done"
        change.write_text("x")
        assert state_of(results, cell).kind == "missing"
    answer(cell)
    os.utime(tmp_path / "set" / "labels.txt", (5, 5))
    assert state_of(results, cell).kind == "missing"


def test_the_plan_says_which_setting_makes_a_cell_new_and_what_is_no_longer_named(
    two: Study, results: Path, answer: Answer
) -> None:
    for cell in two.cells:
        answer(cell)
    text = TWO.replace("[columns.knn]", "[columns.knn]\ntemperature = 0.2").replace(
        "rows.other", "rows.third"
    )
    changed = read_study(text, "two")
    states = states_of(results, changed)
    lines = plan_lines(changed, results, states)
    assert "one/knn is new: protocol.settings.temperature was 0.07, is 0.2" in lines, lines
    assert any(line.startswith("no longer in the study: other/knn, record ") for line in lines)
    assert summary(states) == "4 cells: 2 done, 2 missing"  # one request has two names
