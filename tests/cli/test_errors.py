"""What goes wrong at the keyboard: exit code 2, four parts, no traceback, nothing lost."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import SMALL, Command
from vitbench.cli.main import main

RANDOM = "random:vit_mini_patch8_64"


def fails(words: list[Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command in this process; return what it said on stderr."""
    try:
        code = main([str(word) for word in words])
    except SystemExit as stop:  # tyro's own end, for words that are no settings
        code = int(stop.code or 0)
    said = capsys.readouterr().err
    assert code == 2, said
    assert "Traceback" not in said
    return said


def knn(folders: Path, results: Path, *more: Any) -> list[Any]:
    return ["eval", "knn", RANDOM, "--data", folders, "--results", results, *SMALL, *more]


def test_an_unknown_command_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no command 'evla'. Did you mean 'eval'?" in fails(["evla"], capsys)


def test_an_unknown_protocol_gets_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no protocol 'knnn'. Did you mean 'knn'?" in fails(["eval", "knnn", "x"], capsys)


def test_an_unknown_preset_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert "one of dino" in fails(["eval", "knn", "x", "--preset", "dyno"], capsys)


def test_an_unknown_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--tempreature" in fails(["eval", "knn", "x", "--tempreature", "1"], capsys)


def test_a_setting_outside_its_limits_is_named(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = fails(knn(folders, tmp_path, "--temperature", "-1", "--crop", "2"), capsys)
    assert "--temperature is -1.0, expected at least 0.001" in said


def test_no_such_checkpoint(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(["eval", "knn", "nowhere/ckpt.pth", "--data", folders], capsys)
    assert "nowhere/ckpt.pth" in said


def test_a_text_file_called_pth(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "weights.pth").write_text("these are not weights")
    said = fails(["eval", "knn", tmp_path / "weights.pth", "--data", folders], capsys)
    assert "weights.pth" in said


def test_a_data_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(["eval", "knn", RANDOM, "--data", "no-such-data", "--results", tmp_path], capsys)
    assert "no data at 'no-such-data'" in said
    assert "VITBENCH_DATA" in said


def test_a_folder_without_splits_says_what_it_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data" / "pictures").mkdir(parents=True)
    said = fails(["eval", "knn", RANDOM, "--data", tmp_path / "data"], capsys)
    assert "has no 'train' split" in said
    assert "pictures" in said


def test_an_empty_class_folder_is_named(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folders, tmp_path / "data")
    (tmp_path / "data" / "train" / "yellow").mkdir()
    assert "class folder 'yellow'" in fails(knn(tmp_path / "data", tmp_path), capsys)


@pytest.fixture
def damaged(folders: Path, tmp_path: Path) -> Path:
    """Return a copy of the folders with one truncated JPEG."""
    root = tmp_path / "data"
    shutil.copytree(folders, root)
    good = root / "train" / "red" / "0.png"
    Image.open(good).save(good.with_suffix(".jpg"))
    good.unlink()
    whole = good.with_suffix(".jpg").read_bytes()
    good.with_suffix(".jpg").write_bytes(whole[: len(whole) // 2])
    return root


def test_a_corrupt_image_stops_the_run_before_any_work(
    damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = fails(knn(damaged, tmp_path / "results"), capsys)
    assert "1 of 24 images can't be read: train/red/0.jpg" in said
    assert "--skip-corrupt 1" in said
    record = next((tmp_path / "results" / "knn").glob("*.json")).read_text()
    assert '"status": "failed"' in record
    assert "train/red/0.jpg" in record


def test_a_corrupt_image_may_be_left_out(damaged: Path, tmp_path: Path) -> None:
    assert main([str(word) for word in knn(damaged, tmp_path, "--skip-corrupt", 1)]) == 0
    assert (
        "left out 1 broken images: train/red/0.jpg"
        in next((tmp_path / "knn").glob("*.json")).read_text()
    )


def test_what_is_wrong_inside_a_jpeg_is_told_by_the_pass_and_may_be_left_out(
    damaged: Path, folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = damaged / "train" / "red" / "0.jpg"
    Image.open(folders / "train" / "red" / "0.png").save(path)
    whole = path.read_bytes()
    code = whole.index(b"\xff\xc4") + 5  # how many words a Huffman code has of each length
    path.write_bytes(whole[:code] + b"\xff" * 16 + whole[code + 16 :])
    said = fails(knn(damaged, tmp_path / "results"), capsys)
    assert "train/red/0.jpg' can't be read" in said
    assert "--skip-corrupt" in said
    assert main([str(word) for word in knn(damaged, tmp_path, "--skip-corrupt", 1)]) == 0
    record = next((tmp_path / "knn").glob("*.json")).read_text()
    assert "left out 1 broken images: train/red/0.jpg" in record


def test_a_results_folder_that_can_not_be_written(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    said = fails(knn(folders, tmp_path / "results"), capsys)
    assert "could not be written" in said
    assert "--results DIR" in said


def test_a_full_disk_leaves_no_half_record(
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in fails(knn(folders, tmp_path), capsys)
    monkeypatch.undo()
    assert not [path for path in (tmp_path / "knn").rglob("*") if path.suffix in {".json", ".part"}]


def test_one_checkpoint_that_fails_does_not_stop_the_others(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [RANDOM, "--data", folders, "--results", tmp_path, *SMALL]
    assert main([str(word) for word in ["eval", "knn", "nowhere.pth", *words]]) == 2
    assert "nowhere.pth" in capsys.readouterr().out
    assert len(list((tmp_path / "knn").glob("*.json"))) == 1


def test_no_traceback_in_the_real_command(vitbench: Command) -> None:
    done: subprocess.CompletedProcess[str] = vitbench("eval", "knn", "nowhere.pth")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_place_that_can_not_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "folder"
    taken.mkdir()
    model = "random:vit_micro_patch16_64"
    said = fails(["export", "mmseg", model, "--out", taken], capsys)
    assert f"IsADirectoryError: {str(taken)!r}" in said
    assert list(tmp_path.iterdir()) == [taken]  # nothing half-written
    (tmp_path / "file").touch()
    train = ["train", "dino", *("--data", taken, "--out", tmp_path / "file")]
    assert "file" in fails([*train, "--arch", "vit_micro_patch16_64"], capsys)


def test_an_unknown_format_names_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(["export", "mmsegg", "x"], capsys)
    assert "Did you mean 'mmseg'?" in said
    assert "selfpatch" in said


def test_an_empty_folder_of_predictions_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "maps").mkdir()
    words = ["score", "segmentation", tmp_path / "maps", "--data", "synthetic"]
    said = fails([*words, "--results", tmp_path / "results"], capsys)
    assert "have no prediction" in said


def test_a_temperature_of_zero_is_refused(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "dino", "--data", folders, "--out", tmp_path / "run"]
    said = fails([*words, "--dino.student-temperature", "0"], capsys)
    assert "--dino.student-temperature is 0.0, expected at least 0.001" in said


def test_a_batch_that_the_processes_do_not_divide_is_refused_before_they_start(
    folders: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    words = ["train", "dino", "--data", folders, "--out", tmp_path / "run"]
    said = fails([*words, "--processes", "3", "--batch-size", "16"], capsys)
    assert "--batch-size is 16, expected a multiple of 3 processes" in said


@pytest.mark.parametrize("words", [["--out", ""], ["--out="]])
def test_an_empty_path_is_not_the_current_folder(
    words: list[str], folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = fails(["train", "dino", "--data", str(folders), *words], capsys)
    assert "--out is empty" in told
