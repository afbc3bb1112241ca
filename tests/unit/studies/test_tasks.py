"""Which process does what, in which order."""

from pathlib import Path

import pytest

from vitbench.studies.cell_state import State, works_of
from vitbench.studies.matrix import Study
from vitbench.studies.read_study import read_study
from vitbench.studies.tasks import tasks_of

MIXED = """
[train]
recipe = "dino"
preset = "small"
[rows.a]
checkpoint = "random:vit_micro_patch8_64"
[rows.b]
[columns.detection]
on = "detection@small"
data = "synthetic"
[columns.knn]
data = "synthetic"
[columns.davis]
data = "clips"
"""


def names(study: Study, workers: int) -> list[list[str]]:
    states = {work: State("missing") for work in works_of(study)}
    return [task.names for task in tasks_of(study, states, workers)]


def test_cells_of_a_checkpoint_share_a_process_and_cheap_ones_come_first() -> None:
    study = read_study(MIXED, "m")
    assert names(study, 1) == [
        ["b"],
        ["a/davis", "a/knn", "a/detection"],
        ["b/davis", "b/knn", "b/detection"],
    ]


def test_with_more_workers_than_checkpoints_data_sets_are_apart() -> None:
    assert names(read_study(MIXED, "m"), 3) == [
        ["b"],
        ["a/knn", "a/detection"],
        ["a/davis"],
        ["b/knn", "b/detection"],
        ["b/davis"],
    ]


def test_cells_wait_for_the_training_of_their_row_and_what_is_done_is_left_out() -> None:
    study = read_study(MIXED, "m")
    states = {
        work: State("done" if work.name == "a/knn" else "missing") for work in works_of(study)
    }
    tasks = tasks_of(study, states)
    assert [task.needs for task in tasks] == [None, None, study.trainings[0]]
    assert "a/knn" not in tasks[1].names
    states[study.trainings[0]] = State("done")
    assert [task.needs for task in tasks_of(study, states)] == [None, None]


def test_the_folder_of_a_training_is_its_checkpoint() -> None:
    (training,) = read_study(MIXED, "m").trainings
    assert training.folder.parent == Path("runs/m")
    assert training.folder.name.startswith("b-")


def test_a_cell_of_a_training_has_one_key_before_and_after_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before, after = (read_study(MIXED, "m") for _ in range(2))
    key = before.cells[-1].key
    before.trainings[0].folder.mkdir(parents=True)
    assert after.cells[-1].key == key
