"""The second time: records and verdicts that exist are told without the network."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import SMALL, Command
from tests.cli.test_startup import HEAVY, run
from vitbench.cli.main import main
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.records import read_records

ARCH = "vit_micro_patch8_64"
EARLIER = "(an earlier run's; --rerun runs it again)"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return write(tmp_path / "weights.safetensors")


@pytest.fixture
def data(folders: Path, tmp_path: Path) -> Path:
    """Return images that may be changed."""
    return Path(shutil.copytree(folders, tmp_path / "data"))


def write(path: Path, seed: int = 0) -> Path:
    save_backbone(load_backbone(resolve(f"random:{ARCH}?seed={seed}")), path, method="none")
    return path


def words(weights: Path, folders: Path, *more: Any) -> list[str]:
    given = ["eval", "knn", weights, "--data", folders, *SMALL, *more]
    return [str(word) for word in given]


def test_what_was_scored_and_checked_is_told_again_without_torch(
    weights: Path, folders: Path, vitbench: Command
) -> None:
    first = vitbench(*words(weights, folders))
    again = run(HEAVY, tuple(words(weights, folders)), weights.parent)
    assert (first.returncode, again.returncode) == (0, 0), again.stderr
    assert again.stdout.rstrip() == f"{first.stdout.rstrip()}  {EARLIER}"
    checked = vitbench("check", weights)
    told = run(HEAVY, ("check", str(weights)), weights.parent)
    assert told.returncode == checked.returncode == 2  # it is below its floors
    assert told.stdout == checked.stdout


def test_only_the_same_question_gets_the_same_answer(
    weights: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(weights.parent)

    def is_earlier(*more: Any) -> bool:
        capsys.readouterr()
        assert main(words(weights, data, *more)) == 0
        return EARLIER in capsys.readouterr().out

    assert not is_earlier()
    assert is_earlier()
    assert not is_earlier("--rerun")
    assert not is_earlier("--seed", "1")
    assert not is_earlier("--limit", "5")
    image = data / "val" / "red" / "0.png"
    content = image.read_bytes()
    image.write_bytes((data / "train" / "red" / "0.png").read_bytes())
    assert not is_earlier()
    image.write_bytes(content)
    assert is_earlier()
    write(weights, seed=1)
    assert not is_earlier()
    write(weights)
    assert is_earlier()
    shutil.rmtree("results")
    assert not is_earlier()


def test_broken_data_leaves_a_failed_record_also_for_a_known_checkpoint(
    weights: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(weights.parent)
    assert main(words(weights, data)) == 0
    (data / "val" / "red" / "0.png").write_bytes(b"no image")
    assert main(words(weights, data)) == 2
    assert "0.png" in capsys.readouterr().err
    found = [record.status for record in read_records(Path("results"))]  # type: ignore[union-attr]
    assert sorted(found) == ["failed", "ok"]
