"""Studies and sweeps as they are typed; cells run in this process, on a few images."""

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_eval import RANDOM, ends
from vitbench.cli.main import main

OTHER = f"{RANDOM}?seed=1"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sweep(folders: Path, *words: Any) -> tuple[Any, ...]:
    shared = ("--on", "knn", "retrieval@classes", "--data", folders)
    return ("sweep", *words, RANDOM, OTHER, *shared)


def test_a_sweep_is_planned_done_cell_by_cell_and_shown(
    folders: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, *sweep(folders, "plan"))
    assert "4 cells: 4 missing" in capsys.readouterr().out
    ends(0, *sweep(folders, "run"), "--cell", f"{RANDOM}/knn", f"{RANDOM}/retrieval@classes")
    said = capsys.readouterr()
    assert said.err.count("sanity check") <= 1
    assert f"{RANDOM}/knn: top-1 (k=20)" in said.out
    ends(0, *sweep(folders, "run"), "--cell", f"{RANDOM}/knn")
    assert f"{RANDOM}/knn: done" in capsys.readouterr().out
    ends(0, *sweep(folders, "plan"))
    out = capsys.readouterr().out
    assert "4 cells: 2 done, 2 missing" in out
    assert "left: about 0.0 hours on one device" in out
    ends(0, *sweep(folders, "run"), "--cell", f"{OTHER}/knn", f"{OTHER}/retrieval@classes")
    capsys.readouterr()
    ends(0, *sweep(folders, "run"))
    assert capsys.readouterr().out == "sweep: nothing to do, 4 cells: 4 done\n"
    ends(0, *sweep(folders, "show"), "--format", "html", "--out", "page.html")
    page = (empty / "page.html").read_text()
    assert page.count('scope="row"') == 2
    assert "missing" not in page
    ends(0, *sweep(folders, "cards"), "--out", "cards")
    written = capsys.readouterr().out.split()
    assert [Path(name).parent.name for name in written] == ["cards", "cards"]
    text = Path(written[0]).read_text()
    assert f"# {RANDOM}\n" in text
    assert "| architecture | vit_" in text
    assert "| knn | " in text
    assert "| retrieval@classes | " in text


def test_a_record_of_eval_answers_a_cell(
    folders: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, "eval", "knn", RANDOM, "--data", folders)
    before = {path: path.stat().st_mtime_ns for path in (empty / "results" / "knn").iterdir()}
    ends(0, *sweep(folders, "run"), "--cell", f"{RANDOM}/knn")
    assert before == {
        path: path.stat().st_mtime_ns for path in (empty / "results" / "knn").iterdir()
    }


def test_faults_of_data_and_checkpoints_are_told_together_before_any_work(
    empty: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitbench.cli import study_actions

    monkeypatch.setattr(study_actions, "call", lambda function, argument: function(argument))
    ends(2, "sweep", RANDOM, "nowhere.pth", "--on", "knn", "davis", "--data", "no-such-folder")
    said = capsys.readouterr().err
    assert "knn: no data at 'no-such-folder'" in said
    assert "davis: no data at 'no-such-folder'" in said
    assert "  - nowhere.pth: " in said
    assert "nothing was started" in said
    assert not (empty / "results").exists()


def test_a_cell_that_fails_says_why_and_the_others_go_on(
    folders: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sweep", "run", RANDOM, "--on", "discovery", "knn", "--data", folders)
    ends(2, *words, "--cell", f"{RANDOM}/discovery", f"{RANDOM}/knn")
    out = capsys.readouterr().out
    assert f"{RANDOM}/discovery: Dataset" in out
    assert f"{RANDOM}/knn: top-1" in out
    ends(0, *words[:1], "plan", *words[2:])
    assert f"{RANDOM}/discovery failed: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sweep",), "a sweep needs checkpoints"),
        (("sweep", RANDOM, "--on", "kn"), "no protocol 'kn'. Did you mean 'knn'?"),
        (("sweep", RANDOM, "--on", "knn", "--data", "davis=x"), "no protocol 'davis' is in this"),
        (("sweep", RANDOM, "--on", "knn", "--cell", "a/b"), "no cell of sweep 'a/b'"),
        (("study", "tabel3"), "Did you mean 'table3'?"),
        (("study", "none.toml"), "the study 'none.toml' can't be read"),
        (("study", "table3", "--scale", "big"), "no scale of study table3 'big'"),
    ],
)
def test_a_mistyped_command_says_what_is_meant(
    words: tuple[str, ...], said: str, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(list(words)) == 2
    assert said in capsys.readouterr().err


def test_studies_are_planned_without_torch(empty: Path, vitbench: Any) -> None:
    done = vitbench("study", "table5", "--scale", "tiny")
    assert done.returncode == 0, done.stderr
    assert "5 trainings: 5 missing; 10 cells: 10 missing" in done.stdout


TRAINED = """
[train]
preset = "small"
data = "{data}"
arch = "vit_micro_patch16_64"
batch_size = 4
steps = 2
probe_every = 0
[rows.DINO]
recipe = "dino"
[columns.knn]
data = "{data}"
"""


def test_a_row_is_trained_then_scored_and_another_setting_is_another_training(
    folders: Path, empty: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TRAINED.format(data=folders)
    (empty / "mine.toml").write_text(text)
    study = ("study", "mine.toml", "run", "--cell")
    ends(0, *study, "DINO")
    ends(0, *study, "DINO/knn")
    assert "DINO/knn: top-1 (k=20)" in capsys.readouterr().out
    ends(0, "study", "mine.toml", "run")
    assert "mine: nothing to do, 1 trainings: 1 done; 1 cells: 1 done" in capsys.readouterr().out
    (empty / "mine.toml").write_text(text.replace("steps = 2", "steps = 3"))
    ends(0, "study", "mine.toml", "plan")
    assert "1 trainings: 1 missing; 1 cells: 1 missing" in capsys.readouterr().out
    assert len(list((empty / "runs" / "mine").iterdir())) == 1
