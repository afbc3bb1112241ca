"""What `vitbench eval` takes for granted, and what it says of a score."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SMALL
from vitbench.cli.main import main
from vitbench.engine.kept_verdict import Check, SanityCheck
from vitbench.errors import CheckpointError

RANDOM = "random:vit_micro_patch8_64"


def ends(code: int, *words: Any) -> None:
    """Run a command in this process and check how it ends."""
    assert main([str(word) for word in words]) == code


def knn(folders: Path, results: Path, *more: Any) -> list[Any]:
    return ["eval", "knn", RANDOM, "--data", folders, "--results", results, *SMALL, *more]


@pytest.mark.parametrize(
    ("words", "usual"),
    [
        (["eval", "davis", RANDOM], "davis"),
        (["eval", "knn", "nowhere.pth"], "imagenet"),
        (["eval", "adjacency"], "coco"),
        (["score", "segmentation", "."], "ade20k"),
        (["score", "davis", "."], "davis"),
    ],
)
def test_without_data_nothing_is_scored_and_the_built_in_data_is_offered(
    words: list[str],
    usual: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("VITBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    ends(2, *words)
    said = capsys.readouterr().err
    assert f"its usual data set '{usual}' is not there" in said
    assert "VITBENCH_DATA is not set" in said
    assert "--data synthetic" in said
    assert not list(tmp_path.iterdir())


def test_the_usual_data_under_the_data_folder_is_scored(
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "imagenet").symlink_to(folders)
    monkeypatch.setenv("VITBENCH_DATA", str(tmp_path / "data"))
    ends(0, "eval", "knn", RANDOM, "--results", tmp_path / "results", *SMALL)
    assert "/val, 12 images\n" in capsys.readouterr().out


def test_the_headline_names_data_split_and_items(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(0, *knn(folders, tmp_path))
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.endswith(f" · knn · {folders.name}/val, 12 images")
    ends(0, *knn(folders, tmp_path, "--limit", "5"))
    said = capsys.readouterr().out
    assert f"{folders.name}/val, 5 of 12 images" in said.splitlines()[0]
    assert "† a subset: 5 of 12 images" in said


def test_built_in_data_is_said_to_be_that(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--data", "synthetic", "--limit", "20", "--results", tmp_path, *SMALL]
    ends(0, "eval", "knn", RANDOM, *words)
    assert "† built-in synthetic data" in capsys.readouterr().out


def test_a_failed_gate_is_seen_after_the_scores_and_in_the_report(
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    below = SanityCheck((Check(True, "keys"), Check(False, "20-NN 9.0 %, untrained 20.0 %")))
    monkeypatch.setattr("vitbench.engine.evaluate.inspect", lambda *_, **__: below)
    ends(0, *knn(folders, tmp_path))
    assert "† sanity check failed: 20-NN 9.0 %, untrained 20.0 %" in capsys.readouterr().out
    ends(0, "report", "--results", tmp_path, "--format", "json")
    rows = json.loads(capsys.readouterr().out)["scores"]
    assert rows
    assert all(
        row["marks"] == ["sanity check failed: 20-NN 9.0 %, untrained 20.0 %"] for row in rows
    )


def test_wrong_data_is_told_once_and_before_any_checkpoint_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def opened(*_: object, **__: object) -> None:
        raise CheckpointError("a checkpoint was opened")

    monkeypatch.setattr("vitbench.cli.eval.resolve_one", opened)
    results = tmp_path / "results"
    ends(2, "eval", "knn", RANDOM, "other", "--data", tmp_path / "typo", "--results", results)
    said = "".join(capsys.readouterr())
    assert said.count("no data at") == 1
    assert "a checkpoint was opened" not in said
    assert not results.exists()


MEAN = ("--mean", "127", "127", "127")
NOWHERE = ("eval", "knn", "nowhere.pth")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*NOWHERE, *MEAN), "--mean is 127.0, expected at most 1.0"),
        (("check", "nowhere.pth", *MEAN), "--mean is 127.0, expected at most 1.0"),
        ((*NOWHERE, "--mean", "0.5", "-0.1", "0.5"), "--mean is -0.1, expected at least 0.0"),
        ((*NOWHERE, "--mean", "nan", "0.5", "0.5"), "--mean is nan"),
        ((*NOWHERE, "--std", "58", "57", "57"), "--std is 58.0, expected at most 1.0"),
        ((*NOWHERE, "--std", "0", "0.5", "0.5"), "--std is 0.0, expected at least 0.001"),
        ((*NOWHERE, "--seed", "-1"), "--seed is -1, expected at least 0"),
        ((*NOWHERE, "--workers", "-1"), "--workers is -1, expected at least 0"),
        ((*NOWHERE, "--limit", "0"), "--limit is 0, expected at least 1"),
        ((*NOWHERE, "--skip-corrupt", "-2"), "--skip-corrupt is -2, expected at least 0"),
        (("score", "davis", "x", "--limit", "0"), "--limit is 0, expected at least 1"),
        (("data", "pack", "x", "y", "--quality", "0"), "--quality is 0, expected at least 1"),
        (("train", "dino", "--processes", "0"), "--processes is 0, expected at least 1"),
    ],
)
def test_a_value_outside_its_limits_is_refused_at_the_flag(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(2, *words)
    assert said in capsys.readouterr().err


def test_pixel_values_are_told_to_be_divided_and_the_quotient_is_taken(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends(2, *knn(folders, tmp_path, "--mean", "127", "127", "127"))
    said = capsys.readouterr().err
    assert said.count("--mean is 127.0") == 1
    assert "divided by 255: 127 becomes 0.498" in said
    ends(0, *knn(folders, tmp_path, "--mean", "0.498", "0.498", "0.498"))


def test_the_score_of_a_stopped_training_says_where_it_stopped(
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["--preset", "small", "--arch", "vit_micro_patch16_64", "--batch-size", "8"]
    brief = ["--epochs", "2", "--workers", "1", "--device", "cpu", "--probe-every", "0"]
    train = ["train", "dino", "--data", folders, "--out", "runs/mine", *small, *brief]
    score = ["eval", "knn", "mine", "--data", folders, *SMALL]
    ends(0, *train, "--steps", "4")
    capsys.readouterr()
    ends(0, *score)
    assert "† its training stopped at step 4 of 6" in capsys.readouterr().out
    ends(0, *train)
    capsys.readouterr()
    ends(0, *score)
    assert "its training stopped" not in capsys.readouterr().out
