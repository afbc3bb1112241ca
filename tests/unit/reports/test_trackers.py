import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from vitbench.cli.report import run
from vitbench.errors import MissingDependency
from vitbench.records import Record, write_record
from vitbench.reports import trackers
from vitbench.reports.table import Table, build_table

MakeRecord = Callable[..., Record]


@pytest.fixture
def table(make_record: MakeRecord) -> Table:
    """Return two measured runs, one of a hostile name, and the published rows of a method."""
    records = [make_record("one", 80.0), make_record("<b>\x1b[0m=x'y`", 70.0)]
    return build_table(records, compare=("one", "<b>\x1b[0m=x'y`", "dino"))


def test_runs_go_to_a_local_mlflow_store_once(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    place = "mlruns"  # a folder, and no server
    assert trackers.send(table, "mlflow", place) == 2
    assert trackers.send(table, "mlflow", place) == 0
    client = MlflowClient(tracking_uri=(tmp_path / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("vitbench")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.metrics["knn/top1_k20"] for run in runs} == {80.0, 70.0}
    assert {run.data.params["settings/k"] for run in runs} == {"20"}


def test_runs_go_to_tensorboard_once(table: Table, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert trackers.send(table, "tensorboard", str(tmp_path / "board")) == 2
    assert trackers.send(table, "tensorboard", str(tmp_path / "board")) == 0
    (folder,) = (tmp_path / "board" / "knn").glob("one.*")
    events = EventAccumulator(str(folder)).Reload()
    (event,) = events.Tensors("knn/top1_k20")
    assert event.tensor_proto.float_val[0] == 80.0


def test_a_record_of_a_stranger_stays_in_the_folder_and_is_a_name_to_every_tool(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = make_record("../../up", 80.0)
    protocol = replace(hostile.protocol, name="../../../over", settings={"../x": "../../y"})
    table = build_table([replace(hostile, protocol=protocol)])
    place = tmp_path / "a" / "b" / "board"
    assert trackers.send(table, "tensorboard", str(place)) == 1
    (tmp_path / "a" / "b" / "mlflow").mkdir()
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert trackers.send(table, "mlflow", (tmp_path / "a" / "b" / "mlflow").as_uri()) == 1
    outside = [
        path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "a" / "b")
    ]
    assert outside == [tmp_path / "a"]
    assert [path.name for path in place.iterdir()] == ["over"]


class Trackio(ModuleType):
    """The part of trackio that is used: runs by name in projects, which must exist to be read."""

    def __init__(self) -> None:
        super().__init__("trackio")
        self.projects: dict[str, dict[str, dict[str, float]]] = {}
        self.finished = 0

    def Api(self) -> Any:  # noqa: N802
        def runs(project: str) -> list[SimpleNamespace]:
            if project not in self.projects:
                raise ValueError(f"Project '{project}' does not exist")
            return [SimpleNamespace(name=name) for name in self.projects[project]]

        return SimpleNamespace(runs=runs)

    def init(self, *, project: str, name: str, **_: object) -> Any:
        def log(metrics: dict[str, float]) -> None:
            self.projects.setdefault(project, {})[name] = metrics

        return SimpleNamespace(log=log)

    def finish(self) -> None:
        self.finished += 1


def test_runs_go_to_trackio_once(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    double = Trackio()
    monkeypatch.setitem(sys.modules, "trackio", double)
    assert trackers.send(table, "trackio", "mine") == 2
    assert trackers.send(table, "trackio", "mine") == 0
    assert double.finished == 2
    sent = double.projects["mine"].values()
    assert {metrics["knn/top1_k20"] for metrics in sent} == {80.0, 70.0}


def test_a_tool_that_is_not_installed_is_named(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingDependency, match=r"vitbench\[wandb\]"):
        trackers.send(table, "wandb", "")


def test_the_command_sends_the_runs_of_a_folder(
    make_record: MakeRecord, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_record(make_record(), tmp_path / "results")
    place = str(tmp_path / "board")
    assert run(["--results", str(tmp_path / "results"), "--to", "tensorboard", "--out", place]) == 0
    assert "1 new runs sent" in capsys.readouterr().out
