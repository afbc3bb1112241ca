"""A study on a real Slurm, on this machine; `make test-slurm` starts it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slurm
STUDY = """
title = "Two trainings and a floor, on Slurm"
[train]
preset = "small"
data = "synthetic"
arch = "vit_micro_patch16_64"
batch_size = 4
steps = {steps}
[rows.DINO]
recipe = "dino"
[rows.SelfPatch]
recipe = "selfpatch"
[rows.floor]
checkpoint = "random:vit_micro_patch16_64"
[columns.knn]
data = "synthetic"
limit = 40
[[claims]]
better = "SelfPatch"
than = "floor"
"""
PATIENCE = 1800  # seconds


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    return tmp_path


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def study(*words: str) -> str:
    return run(sys.executable, "-m", "vitbench", "study", "study.toml", *words)


def submitted() -> str:
    """Hand a study to Slurm and return the number of its trainings.

    The scripts are printed, and given to it here: a tree with changes would not be submitted.
    """
    scripts = study("run", "--slurm=print").split("#!/bin/bash\n")[1:]
    number = first = ""
    for script in scripts:
        waits = [f"--dependency=aftercorr:{number}"] if "DINO/knn" in script else []
        number = subprocess.run(
            ["sbatch", "--parsable", *waits],
            input=f"#!/bin/bash\n{script}",
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        first = first or number
    return first


def wait_until_empty() -> None:
    deadline = time.monotonic() + PATIENCE
    while run("squeue", "-h").strip():
        assert time.monotonic() < deadline, run("squeue")
        time.sleep(1)


def test_a_study_runs_to_its_end_and_a_requeued_training_equals_an_unbroken_one(
    folder: Path,
) -> None:
    (folder / "study.toml").write_text(STUDY.format(steps=60))
    (folder / "results" / ".cells" / "slurm").mkdir(parents=True)
    _stop_the_first_training(folder, submitted())
    wait_until_empty()
    assert "nothing to do" in study("run")
    shown = study("show", "--format", "markdown")
    assert "missing" not in shown
    trained = next((folder / "runs" / "study").glob("DINO-*"))
    command = [sys.executable, "-m", "vitbench", "train", "dino", "--preset", "small"]
    more = ["--data", "synthetic", "--steps", "60", "--device", "auto", "--out", "unbroken"]
    run(*command, *more, "--arch", "vit_micro_patch16_64", "--batch-size", "4")
    name = "backbone.safetensors"
    assert (trained / name).read_bytes() == (folder / "unbroken" / name).read_bytes()


def _stop_the_first_training(folder: Path, number: str) -> None:
    """Warn the first training as Slurm does before it preempts; it saves and is queued again."""
    deadline = time.monotonic() + PATIENCE
    while not any((folder / "runs").glob("*/DINO-*/metrics.jsonl")):
        assert time.monotonic() < deadline, run("squeue")
        time.sleep(0.5)
    run("scancel", "--batch", "--signal=USR1", f"{number}_0")
    while "RUNNING" in (state := run("squeue", "-h", "-j", f"{number}_0", "-o", "%T")):
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    log = next((folder / "results" / ".cells" / "slurm").glob("*_0.log"))
    assert "stopped by SIGUSR1 after saving" in log.read_text()
