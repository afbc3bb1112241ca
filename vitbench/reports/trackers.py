"""Records for the tools that people track runs with; what was sent before is not sent again."""

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitbench.errors import MissingDependency, RecordError
from vitbench.records import safe_name, stem
from vitbench.reports import escape, marks
from vitbench.reports.leaderboard import Entry, Leaderboard
from vitbench.reports.table import Table

Target = Literal["tensorboard", "mlflow", "wandb", "trackio"]
PROJECT = "vitbench"
VALUE = 500  # characters of a fact that are sent
UNSAFE = re.compile(r"[^A-Za-z0-9_.\- /]+")


@dataclass(frozen=True, slots=True)
class Run:
    """One measured record, as a tracking tool sees it."""

    id: str
    name: str
    stem: str
    metrics: Mapping[str, float]  # "knn/top1_k20", and "…_low", "…_high" of its interval
    facts: Mapping[str, str]


def send(table: Table, target: Target, place: str) -> int:
    """Send the measured runs of a table to a tracking tool.

    Args:
        table: Published rows of it stay at home.
        target: The tool.
        place: Folder for TensorBoard; tracking address for MLflow, project for wandb and trackio:
            those that their own environment variables name if it is empty.

    Returns:
        How many runs were new there.

    Raises:
        MissingDependency: The tool's package is not installed.
        RecordError: The tool refused them.
    """
    runs = [
        _run(board, line) for board in table.boards for line in board.entries if not line.published
    ]
    try:
        return SENDERS[target](runs, place)
    except ImportError as error:
        raise MissingDependency(
            error.name or target, needed_for=f"--to {target}", extra=target
        ) from error
    except OSError as error:
        raise RecordError(
            f"the runs could not be sent to {target}.", found=str(error), hint="--out names a place"
        ) from error


def _run(board: Leaderboard, line: Entry) -> Run:
    record = line.record
    metrics = {}
    for metric, score in line.scores.items():
        for suffix, value in (("", score.value), ("_low", score.low), ("_high", score.high)):
            if value is not None and math.isfinite(value):
                metrics[_key(f"{board.protocol.name}/{metric}{suffix}")] = value
    facts = {
        "checkpoint": record.subject.name,
        "weights": record.subject.sha256,
        "architecture": record.subject.arch,
        "protocol": board.protocol.name,
        "preset": board.protocol.preset,
        "spec_id": board.protocol.spec_id,
        "data": board.data_name,
        "seed": str(record.seed),
        "marks": "; ".join(marks.marks(record)),
        "command": record.command,
        "commit": record.environment.git_commit,
        **{f"settings/{key}": str(value) for key, value in board.protocol.settings.items()},
    }
    return Run(
        id=record.id,
        name=escape.plain(f"{record.subject.name} {board.protocol.name}", escape.NAME),
        stem=stem(record),
        metrics=metrics,
        facts={_key(key): escape.plain(value, VALUE) for key, value in facts.items() if value},
    )


def _key(text: str) -> str:
    """Turn any text into a name of plain characters; its parts between slashes are no folders."""
    parts = (part.strip(".") or "-" for part in UNSAFE.sub("-", text).split("/"))
    return "/".join(parts)[:200]


def _to_tensorboard(runs: Sequence[Run], place: str) -> int:
    from tensorboard.summary import Writer

    fresh = 0
    for run in runs:
        folder = (
            Path(place or "tensorboard") / safe_name(run.facts.get("protocol", "run")) / run.stem
        )
        if folder.exists():
            continue
        folder.mkdir(parents=True)
        writer = Writer(str(folder))
        for name, value in run.metrics.items():
            writer.add_scalar(name, value, 0, description=run.facts.get("command"))
        writer.close()
        fresh += 1
    return fresh


def _to_mlflow(runs: Sequence[Run], place: str) -> int:
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    try:
        client = MlflowClient(tracking_uri=_mlflow_store(place) or None)
        found = client.get_experiment_by_name(PROJECT)
        experiment = found.experiment_id if found else client.create_experiment(PROJECT)
        fresh = 0
        for run in runs:
            known = f"tags.`vitbench.id` = '{_key(run.id)}'"
            if client.search_runs([experiment], filter_string=known, max_results=1):
                continue
            tags = {"vitbench.id": _key(run.id)}
            made = client.create_run(experiment, tags=tags, run_name=run.name).info.run_id
            for name, fact in run.facts.items():
                client.log_param(made, name, fact)
            for name, value in run.metrics.items():
                client.log_metric(made, name, value)
            client.set_terminated(made)
            fresh += 1
    except MlflowException as error:
        raise RecordError(
            "MLflow refused the runs.",
            found=str(error),
            hint="--out http://HOST:5000 names a server; `mlflow server` starts one",
        ) from error
    return fresh


def _mlflow_store(place: str) -> str:
    """Return the address of a server, or of a folder that is written without one."""
    local = bool(place) and ("://" not in place or place.startswith("file:"))
    if not local:
        return place
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # newer versions ask for a yes
    return place if place.startswith("file:") else Path(place).absolute().as_uri()


def _to_wandb(runs: Sequence[Run], place: str) -> int:
    import wandb

    for run in runs:  # an id that wandb knows goes on instead of starting anew
        with wandb.init(
            project=place or PROJECT,
            id=_key(run.id)[:32],
            name=run.name,
            config=dict(run.facts),
            resume="allow",
        ) as started:
            started.summary.update(dict(run.metrics))
    return len(runs)


def _to_trackio(runs: Sequence[Run], place: str) -> int:
    import trackio

    project = place or PROJECT
    try:
        known = {run.name for run in trackio.Api().runs(project)}
    except ValueError:  # no such project yet
        known = set()
    named = {
        f"{run.name} {_key(run.id)[:8]}": run for run in runs
    }  # a name is a run's identity there
    fresh = {name: run for name, run in named.items() if name not in known}
    for name, run in fresh.items():
        started = trackio.init(
            project=project, name=name, config=dict(run.facts), embed=False, auto_log_gpu=False
        )
        started.log(dict(run.metrics))
        trackio.finish()
    return len(fresh)


SENDERS: Mapping[Target, Callable[[Sequence[Run], str], int]] = {
    "tensorboard": _to_tensorboard,
    "mlflow": _to_mlflow,
    "wandb": _to_wandb,
    "trackio": _to_trackio,
}
