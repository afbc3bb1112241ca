"""Training from the command line: killed and resumed, stopped politely, on strange data."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitbench.cli.main import main
from vitbench.models.sources import RUN_JOURNAL
from vitbench.training.claim import claimed
from vitbench.training.journal import read_metrics
from vitbench.training.snapshot import load_snapshot

CPU = torch.device("cpu")
SMALL = (
    "--preset", "small", "--arch", "vit_mini_patch16_64", "--crops.local-size", "48",
    "--batch-size", "8", "--epochs", "3", "--drop-path", "0.2", "--log-every", "1",
    "--save-minutes", "0", "--workers", "1", "--device", "cpu",
)  # fmt: skip


def command(recipe: str, data: Path, out: Path, *more: str) -> list[str]:
    return ["train", recipe, *SMALL, "--data", str(data), "--out", str(out), *more]


def started(words: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "vitbench", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_step(process: subprocess.Popen[str], out: Path, step: int) -> None:
    deadline = time.monotonic() + 120
    while not any(row["step"] >= step for row in read_metrics(out)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tensors(tree: object, at: str = "") -> dict[str, Tensor]:
    if isinstance(tree, Tensor):
        return {at: tree}
    if isinstance(tree, dict):
        parts = [tensors(value, f"{at}/{key}") for key, value in tree.items() if key != "random"]
        return {key: value for part in parts for key, value in part.items()}
    return {}


def state_of(out: Path) -> dict[str, Tensor]:
    (*_, newest) = sorted((out / "snapshots").glob("step-*.pt"))
    return tensors(load_snapshot(newest, CPU))


def test_a_killed_run_goes_on_to_the_very_same_weights(folders: Path, tmp_path: Path) -> None:
    killed = started(command("selfpatch", folders, tmp_path / "killed"))
    wait_for_step(killed, tmp_path / "killed", 4)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert main(["resume", str(tmp_path / "killed")]) == 0
    assert main(command("selfpatch", folders, tmp_path / "whole")) == 0
    expected, found = state_of(tmp_path / "whole"), state_of(tmp_path / "killed")
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value), name
    whole, parts = (
        (tmp_path / run / "backbone.safetensors").read_bytes() for run in ("whole", "killed")
    )
    assert whole == parts


def test_sigterm_saves_and_asks_for_a_requeue(folders: Path, tmp_path: Path) -> None:
    process = started(command("dino", folders, tmp_path / "run"))
    wait_for_step(process, tmp_path / "run", 2)
    process.send_signal(signal.SIGTERM)
    told = process.communicate(timeout=300)[0]
    assert process.returncode == 75, told
    assert "stopped by SIGTERM after saving step" in told
    assert f"vitbench resume {tmp_path / 'run'}" in told
    assert told.count("vitbench resume") == 1


def test_a_second_run_in_a_folder_is_told_of_the_first(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with claimed(tmp_path / "run"):
        assert main(command("dino", folders, tmp_path / "run", "--steps", "1")) == 2
    assert "a run is at work in" in capsys.readouterr().err
    assert main(command("dino", folders, tmp_path / "run", "--steps", "1")) == 0


def test_a_flat_folder_of_images_trains(folders: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted((folders / "train").rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(path.read_bytes())
    assert main(command("dino", flat, tmp_path / "run", "--steps", "2")) == 0
    assert len(read_metrics(tmp_path / "run")) == 2


def test_the_journal_says_the_terms_and_the_online_knn(folders: Path, tmp_path: Path) -> None:
    more = ("--probe-every", "1", "--epochs", "1")
    assert main(command("selfpatch", folders, tmp_path / "run", *more)) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / RUN_JOURNAL).read_text().splitlines()]
    assert {"loss", "dino", "patch", "dino_entropy", "patch_kl", "learning_rate"} <= set(rows[0])
    assert 0 <= rows[-1]["top1_k20"] <= 100
    assert list((tmp_path / "run" / "tensorboard").iterdir())


def test_a_swin_is_trained_and_scored(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ("--crops.global-size", "32", "--crops.local-size", "16", "--crops.local-crops", "1")
    more = ("--arch", "swin_mini_patch2_window4_32", *sizes, "--epochs", "1", "--probe-every", "0")
    assert main(command("esvit", folders, tmp_path / "run", *more)) == 0
    images = ("--data", str(folders), "--resize", "32", "--crop", "32")
    results = ("--results", str(tmp_path / "results"), "--device", "cpu")
    assert main(["eval", "knn", str(tmp_path / "run"), *images, *results]) == 0
    assert "top-1 (k=20)" in capsys.readouterr().out


def test_settings_of_a_term_are_flags(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command("selfpatch", folders, tmp_path, "--patch.k", "9")) == 2
    assert "--patch.k is 9, expected at most 8" in capsys.readouterr().err


@pytest.mark.parametrize("document", [None, "[]", "", '{"command": 3}'])
def test_resume_wants_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: str | None
) -> None:
    if document is not None:
        (tmp_path / "run.json").write_text(document)
    assert main(["resume", str(tmp_path)]) == 2
    assert "is no run folder" in capsys.readouterr().err


def test_a_broken_image_is_named_and_counted(folders: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(folders, data)
    broken = sorted((data / "train").rglob("*.png"))[0]
    broken.write_bytes(broken.read_bytes()[:60])
    more = ("--skip-corrupt", "1", "--epochs", "1")
    assert main(command("dino", data, tmp_path / "run", *more)) == 0
    rows = read_metrics(tmp_path / "run")
    assert rows[-1]["corrupt"] == 1 or rows[-1]["corrupt_images"]
    (told,) = [row["corrupt_images"] for row in rows if "corrupt_images" in row]
    assert told == [broken.relative_to(data / "train").as_posix()]
