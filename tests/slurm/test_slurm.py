"""A study on a real Slurm, on this machine; `make test-slurm` starts it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import vitbench

pytestmark = pytest.mark.slurm
STUDY = ("study", "table3", "--scale", "tiny")
PACKAGES = ("vitbench", "protocols", "checkpoints")
PATIENCE = 1800  # seconds; half a minute each on an idle machine
WEIGHTS = "backbone.safetensors"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the code of now from a commit of its own, so that jobs can be submitted."""
    code, here = Path(vitbench.__file__).parent.parent, tmp_path / "code"
    for name in PACKAGES:
        shutil.copytree(code / name, here / name, ignore=shutil.ignore_patterns("__pycache__"))
    git = ("git", "-C", str(here))
    run(*git, "init", "-q")
    run(*git, "add", "--all")
    run(*git, "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", "all")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(here / name) for name in ("", *PACKAGES)))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_vitbench(*words: str) -> str:
    return run(sys.executable, "-m", "vitbench", *words)


def states(job: str = "") -> list[str]:
    """Return the states of the tasks in the queue, of one job or of all."""
    return run("squeue", "-h", "-r", "-o", "%T", *(["-j", job] if job else [])).split()


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline, run("squeue")
        time.sleep(0.5)


def test_a_study_runs_to_its_end_and_a_requeued_training_equals_an_unbroken_one() -> None:
    submitted = run_vitbench(*STUDY, "run", "--slurm")
    trainings = submitted.split()[1].rstrip(":")
    wait_for(lambda: states(trainings).count("RUNNING") == 2)
    interrupt(
        {
            f"{trainings}_0": ("scancel", "--batch", "--signal=USR1"),
            f"{trainings}_1": ("scontrol", "requeue"),
        }
    )
    plan = run_vitbench(*STUDY, "plan")
    assert f"in the queue: {trainings}" in plan
    wait_for(lambda: not states())
    for number in (0, 1):
        assert " Restarts=1 " in run("scontrol", "show", "job", f"{trainings}_{number}")
    done = run_vitbench(*STUDY, "run")
    assert "nothing to do, 2 trainings: 2 done; 6 cells: 6 done" in done
    assert "missing" not in run_vitbench(*STUDY, "show", "--format", "markdown")
    *words, out = words_of("DINO")
    run_vitbench("train", *words, "unbroken", "--device", "auto")
    assert Path(out, WEIGHTS).read_bytes() == Path("unbroken", WEIGHTS).read_bytes()


def interrupt(commands: dict[str, tuple[str, ...]]) -> None:
    """Interrupt each training in its middle, by its own command; it saves its state."""
    left = dict(commands)

    def all_are_interrupted() -> bool:
        for task in [task for task in left if " 20/" in log_of(task)]:
            run(*left.pop(task), task)
        return not left

    wait_for(all_are_interrupted)
    wait_for(lambda: all("after saving step" in log_of(task) for task in commands))


def log_of(task: str) -> str:
    logs = Path("results", ".cells", "slurm").glob(f"*-{task}.log")
    return "".join(path.read_text() for path in logs)


def words_of(row: str) -> list[str]:
    """Return the words of `vitbench train …` that trained a row."""
    kept = [json.loads(path.read_text()) for path in Path("results").rglob("cell.json")]
    return next(one["request"]["training"] for one in kept if one["name"] == row)
