"""Batch scripts and commands for schedulers, without one."""

import subprocess
from pathlib import Path

import pytest

from tests.unit.studies.conftest import TWO, Answer
from vitbench.errors import SettingError
from vitbench.studies import slurm
from vitbench.studies.cell_state import State, works_of
from vitbench.studies.commands import command_lines
from vitbench.studies.read_study import read_study
from vitbench.studies.slurm import Cluster, jobs_of, submit
from vitbench.studies.tasks import Task, tasks_of

TRAINED = (
    TWO
    + """
[train]
preset = "small"
data = "synthetic"
[rows."it's DINO"]
recipe = "dino"
[rows.SelfPatch]
recipe = "selfpatch"
[slurm]
partition = "gpu"
time = "4:00:00"
train = { gpus = 8, time = "2-0" }
"""
)
WORDS = ["study", "two.toml", "run"]


def made(text: str = TRAINED) -> tuple[list[slurm.Job], list[Task]]:
    study = read_study(text, "two")
    states = {work: State("missing") for work in works_of(study)}
    tasks = tasks_of(study, states, workers=99)
    return jobs_of(study, tasks, Cluster(Path("results"), WORDS, study.slurm)), tasks


def test_trainings_their_cells_and_the_rest_are_three_arrays() -> None:
    jobs, _ = made()
    assert [(job.title, job.tasks, job.waits) for job in jobs] == [
        ("trainings", 2, False),
        ("cells of the trainings", 2, True),
        ("cells of checkpoints", 2, False),
    ]
    trainings, cells, _ = (job.script for job in jobs)
    assert "#SBATCH --array=0-1\n" in trainings
    assert "#SBATCH --time=2-0\n" in trainings
    assert "#SBATCH --gpus-per-node=8\n" in trainings
    assert "#SBATCH --time=4:00:00\n" in cells
    assert "gpus" not in cells
    assert "  1) words=(SelfPatch/knn SelfPatch/retrieval) ;;" in cells


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (2, False), (75, True)])
def test_a_script_hands_on_signal_and_names_and_is_queued_again_after_saving(
    code: int, requeued: bool, tmp_path: Path
) -> None:
    script = made()[0][1].script
    line = next(one for one in script.splitlines() if one.endswith("&"))
    fake = f'printf "%s\\n" "${{words[@]}}"; bash -c "exit {code}" &'
    script = script.replace(line, fake).replace("scontrol", "echo scontrol")
    done = subprocess.run(
        ["bash", "-c", script],
        env={"SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_JOB_ID": "7", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines()[:2] == ["it's DINO/knn", "it's DINO/retrieval"]
    assert ("scontrol requeue 7_0" in done.stdout) is requeued


def test_a_training_on_several_nodes_is_started_by_srun_and_torchrun() -> None:
    script = made(TRAINED.replace("gpus = 8", "gpus = 8, nodes = 2"))[0][0].script
    assert "#SBATCH --nodes=2\n" in script
    assert "--nnodes 2 --nproc-per-node 8" in script
    assert '-m vitbench train "${words[@]}" &' in script
    assert "  0) words=(dino --preset small --data synthetic --out " in script


def test_jobs_are_submitted_with_their_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    numbers = iter(["41\n", "42;cluster\n", "43\n"])

    def run(command: list[str], _: str) -> str:
        asked.append(command)
        return next(numbers)

    monkeypatch.setattr(slurm, "_run", run)
    monkeypatch.setattr(slurm, "git_state", lambda: ("c" * 40, False))
    said = list(submit(made()[0]))
    assert asked[1:] == [
        ["sbatch", "--parsable", "--dependency=aftercorr:41", "--kill-on-invalid-dep=yes"],
        ["sbatch", "--parsable"],
    ]
    assert said[1] == "job 42: cells of the trainings, 2 tasks, each after its task of job 41"


def test_code_with_changes_is_not_submitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slurm, "git_state", lambda: ("c" * 40, True))
    with pytest.raises(SettingError, match="changes that are in no commit"):
        list(submit(made()[0]))


def test_an_unknown_option_of_the_cluster_is_refused() -> None:
    with pytest.raises(SettingError, match="slurm has no 'partitoin'"):
        Cluster(Path("results"), WORDS, {"partitoin": "gpu"})


def test_commands_tell_what_each_waits_for(results: Path, answer: Answer) -> None:
    lines = list(command_lines(made()[1], WORDS))
    assert lines[0] == "1\t-\tvitbench study two.toml run --cell 'it'\"'\"'s DINO'"
    assert [line.split("\t")[1] for line in lines] == ["-", "-", "-", "-", "1", "2"]
