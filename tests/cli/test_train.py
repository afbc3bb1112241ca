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

from vitbench.cli.flags import taken
from vitbench.cli.main import main
from vitbench.cli.train import with_chosen_preset
from vitbench.models.run_folder import RUN_JOURNAL
from vitbench.training.metric_log import read_metrics
from vitbench.training.recipes import recipes
from vitbench.training.run_lock import run_lock
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


@pytest.fixture(scope="module")
def begun(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run of one step and a copy of the folders that it learns from."""
    data, out = tmp_path_factory.mktemp("data") / "mine", tmp_path_factory.mktemp("runs") / "run"
    shutil.copytree(folders, data)
    assert main(command("dino", data, out, "--steps", "1")) == 0
    return data, out


def copied(begun: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(begun[0], data)
    shutil.copytree(begun[1], out)
    return data, out


def everything(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_a_run_says_and_keeps_what_it_is_trained_on(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(command("dino", folders, out, "--steps", "1")) == 0
    first, second, third, *_ = capsys.readouterr().err.splitlines()
    assert first == f"training on 24 images of {folders / 'train'}"
    assert second == "dino, preset small"
    assert third == f"in the run folder {out}"
    document = json.loads((out / "run.json").read_text())
    assert (document["images"], document["root"]) == (24, [str(folders / "train")])
    assert len(document["fingerprint"]) == 64


@pytest.mark.parametrize(
    ("more", "was", "found"),
    [
        (("--augment", "pil"), "--augment batched", "--augment pil"),
        (("--decode", "scaled"), "--decode exact", "--decode scaled"),
        (("--precision", "fp64"), "--precision fp32", "--precision fp64"),
        (("--accumulate", "2"), "--accumulate 1", "--accumulate 2"),
        (("--optimizer.clip", "1"), "--optimizer.clip 3.0", "--optimizer.clip 1.0"),
    ],
)
def test_a_run_does_not_go_on_with_another_setting_that_moves_numbers(
    more: tuple[str, ...],
    was: str,
    found: str,
    begun: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data, out = begun
    before = everything(out)
    assert main(command("dino", data, out, "--steps", "2", *more)) == 2
    said = capsys.readouterr().err
    assert f"expected  {was}\n" in said
    assert f"found     {found}\n" in said
    assert everything(out) == before


def test_settings_that_move_no_number_and_another_place_of_the_data_go_on(
    begun: tuple[Path, Path], tmp_path: Path
) -> None:
    data, out = copied(begun, tmp_path)
    free = ("--workers", "2", "--save-minutes", "5", "--log-every", "3", "--cache", "ram")
    more = ("--skip-corrupt", "3", "--on-nonfinite", "skip", "1", "--precision", "auto")
    assert main(command("dino", data, out, "--steps", "2", *free, *more)) == 0


@pytest.mark.parametrize("edit", ["added", "removed", "renamed", "swapped", "another of its size"])
def test_a_run_does_not_go_on_with_other_images(
    edit: str, begun: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = copied(begun, tmp_path)
    one, other = data / "train" / "red" / "0.png", data / "train" / "blue" / "0.png"
    if edit == "added":
        shutil.copy(one, one.with_name("more.png"))
    elif edit == "removed":
        one.unlink()
    elif edit == "renamed":
        one.rename(one.with_name("9.png"))
    elif edit == "swapped":
        pixels = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(pixels)
    else:
        facts, pixels = one.stat(), one.read_bytes()
        one.write_bytes(pixels[:-20] + bytes([pixels[-20] ^ 1]) + pixels[-19:])
        os.utime(one, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert main(command("dino", data, out, "--steps", "2")) == 2
    said = capsys.readouterr().err
    assert "expected" in said
    assert "fingerprint" in said
    assert ("images 24" in said) == (edit in {"added", "removed"})


def test_changes_that_are_allowed_are_written_into_the_run(
    begun: tuple[Path, Path], tmp_path: Path
) -> None:
    _, out = copied(begun, tmp_path)
    assert main(["resume", str(out), "--steps", "2", "--accumulate", "2", "--allow-changes"]) == 0
    assert main(["resume", str(out), "--steps", "3"]) == 0  # the run's own settings by now
    (found,) = json.loads((out / "run.json").read_text())["changes"]
    assert found == {"from_step": 1, "changed": {"--accumulate": [1, 2]}}
    assert main(["resume", str(out), "--augment", "pil"]) == 2  # allowed once, not for good


def test_the_hash_in_a_folders_name_stands_for_settings_and_data(
    begun: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _ = copied(begun, tmp_path)
    monkeypatch.chdir(tmp_path)
    words = command("dino", data, Path("x"), "--steps", "1")[:-4]  # without --out
    for more, count in (((), 1), (("--workers", "2"), 1), (("--augment", "pil"), 2)):
        assert main([*words, "--steps", "1", *more]) == 0
        assert len(list(Path("runs").iterdir())) == count
    shutil.copy(data / "train" / "red" / "0.png", data / "train" / "red" / "more.png")
    assert main([*words, "--steps", "1"]) == 0
    assert len(list(Path("runs").iterdir())) == 3


@pytest.mark.parametrize(
    "words",
    [
        ("--steps", "0"),
        ("--steps", "-1"),
        ("--log-every", "0"),
        ("--probe-every", "-1"),
        ("--accumulate", "3"),
        ("--accumulate", "16"),
        ("--processes", "0"),
        ("--batch-size", "25"),
        ("--data", ""),
        ("--seed", str(10**20)),
        ("--optimizer.learning-rate.start", "nan"),
        ("--teacher-momentum.start", "2"),
        ("--crops.global-scale", "0.9", "0.1"),
        ("--dino-weight", "-1"),
        ("--device", "gpu"),
        ("--probe-data", "nowhere"),
        ("--arch", "vit_nowhere_patch16_64"),
    ],
    ids=" ".join,
)
def test_a_run_that_is_refused_leaves_nothing(
    words: tuple[str, ...],
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(command("dino", folders, tmp_path / "new" / "run", *words)) == 2
    said = capsys.readouterr().err
    assert words[0].removeprefix("--") in said or words[-1] in said
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_in_its_first_step_leaves_a_folder_as_it_was(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    small = ("--moby.hidden-dim", "16", "--moby.key-dim", "8", "--moby.queue", "12")
    words = command("moby", folders, tmp_path, *small)
    words.remove("--crops.local-size")
    words.remove("48")
    assert main(words) == 2
    assert "--moby.queue is 12, expected a multiple of the 8 images" in capsys.readouterr().err
    assert everything(tmp_path) == {"notes.txt": b"mine"}


def test_a_folder_that_can_not_be_made_is_told_in_four_parts(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(command("dino", folders, tmp_path / "file" / "run")) == 2
    said = capsys.readouterr().err
    assert "the run could not be written to" in said
    assert "--out names another folder" in said


def test_networks_that_do_not_fit_into_memory_are_refused(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--dino.prototypes", str(10**14))
    assert main(command("dino", folders, tmp_path / "run", *more)) == 2
    assert "the memory of cpu ran out while the networks were built" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "named", "preset", "arch"),
    [
        ("coco", None, "coco", "vit_tiny_patch16_224"),
        ("COCO/", None, "coco", "vit_tiny_patch16_224"),
        ("imagenet", None, "imagenet", "vit_small_patch16_224"),
        ("coco", "small", "small", "vit_mini_patch16_64"),
        ("small", None, None, "vit_small_patch16_224"),
        ("imagenette160", None, None, "vit_small_patch16_224"),
    ],
)
def test_the_preset_is_the_one_that_is_named_or_the_one_of_the_data(
    data: str, named: str | None, preset: str | None, arch: str
) -> None:
    words = ["--data", f"/somewhere/{data}", *(("--preset", named) if named else ())]
    recipe, said, kept = with_chosen_preset(recipes.get("selfpatch")(), words)
    assert recipe.arch == arch
    assert (f"preset {preset}" if preset else "no preset") in said
    assert ("because the data is" in said) == (named is None and preset is not None)
    assert taken(kept, "--preset")[0] == preset  # so that `resume` takes the same one


def test_a_second_run_in_a_folder_is_told_of_the_first(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_lock(tmp_path / "run"):
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
