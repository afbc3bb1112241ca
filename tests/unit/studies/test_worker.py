"""One process does its cells: memory, failures, trainings."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.reports.conftest import knn_record
from vitbench.engine import evaluate as engine
from vitbench.engine.options import Reporter, RunOptions
from vitbench.engine.run import Evaluation
from vitbench.errors import STOPPED_AFTER_SAVING
from vitbench.records import write_record
from vitbench.studies.cell_state import state_of
from vitbench.studies.matrix import Study
from vitbench.studies.read_study import read_study
from vitbench.studies.worker import Worker

TRAINED = (
    '[train]\nrecipe = "dino"\npreset = "small"\n[rows.a]\n[columns.knn]\ndata = "synthetic"\n'
)


def worker(said: list[str], code: int = 0) -> Worker:
    return Worker(
        "two", Path("results"), ["sweep"], lambda words: code, "cpu", Reporter(), said.append
    )


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """Let forward passes of more than 16 images run out of memory; return the sizes tried."""
    tried: list[int | None] = []

    def evaluate(protocol: Any, checkpoint: Any, options: RunOptions, *_: Any) -> Evaluation:
        tried.append(options.batch_size)
        if options.batch_size is None or options.batch_size > 16:
            raise MemoryError
        record = knn_record("one", 50.0)
        return Evaluation(record, write_record(record, options.results), ran=True)

    monkeypatch.setattr(engine, "evaluate", evaluate)
    monkeypatch.setattr(Worker, "_network", lambda *_: (None, None))
    monkeypatch.setattr(Worker, "_opened", lambda *_: None)
    return tried


def test_where_memory_runs_out_the_next_try_has_half_the_images(
    two: Study, results: Path, batches: list[int | None]
) -> None:
    said: list[str] = []
    assert worker(said).run(two.cells[:1]) == 0
    assert batches == [None, 32, 16]
    assert said[0] == "one/knn: memory ran out, again with 32 images at once"
    assert state_of(results, two.cells[0]).kind == "done"


def test_a_bug_costs_its_cell_alone(
    two: Study, results: Path, batches: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Worker, spec: str | None) -> Any:
        if batches:
            raise ZeroDivisionError("oh")
        return None, None

    monkeypatch.setattr(Worker, "_network", broken)
    assert worker([]).run(two.cells[:2]) == 2
    states = [state_of(results, cell) for cell in two.cells[:2]]
    assert [state.kind for state in states] == ["done", "failed"]
    assert states[1].error == "ZeroDivisionError('oh')"
    assert states[1].command == "vitbench sweep --cell one/retrieval"


def test_a_training_that_was_stopped_after_saving_has_not_failed(results: Path) -> None:
    study = read_study(TRAINED, "m")
    with pytest.raises(SystemExit) as caught:
        worker([], STOPPED_AFTER_SAVING).run(study.trainings)
    assert caught.value.code == STOPPED_AFTER_SAVING
    assert state_of(results, study.trainings[0]).kind == "missing"


def test_a_training_that_ends_with_an_error_is_a_failed_one(results: Path) -> None:
    study = read_study(TRAINED, "m")
    assert worker([], 2).run(study.trainings) == 2
    state = state_of(results, study.trainings[0])
    assert (state.kind, state.command) == ("failed", "vitbench sweep --cell a")
    assert "ended with exit code 2" in state.error
