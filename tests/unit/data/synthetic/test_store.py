"""Made once, whole or not at all."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitbench.cache import CACHE_VARIABLE
from vitbench.data.dataset import open_dataset
from vitbench.data.synthetic import VERSION, store, synthetic_folder
from vitbench.errors import DatasetError

MAKE = "from vitbench.data.synthetic import synthetic_folder; print(synthetic_folder('clips'))"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return tmp_path


def test_a_view_is_made_once_and_told_of(cache: Path) -> None:
    told: list[tuple[str, int, int]] = []
    folder = synthetic_folder("clips", progress=lambda *state: told.append(state))
    assert folder == cache / f"synthetic-v{VERSION}" / "clips" / "synthetic"
    assert told[-1] == ("making synthetic clips", 48, 48)
    assert [state[1] for state in told] == list(range(1, 49))
    synthetic_folder("clips", progress=lambda *_: pytest.fail("made twice"))


def test_a_build_that_breaks_off_leaves_nothing(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(root: Path) -> Iterator[None]:
        (root / "half").touch()
        yield
        raise KeyboardInterrupt

    monkeypatch.setitem(store._VIEWS, "clips", (broken, 2))
    with pytest.raises(KeyboardInterrupt):
        synthetic_folder("clips")
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_two_processes_at_once_both_get_the_whole_view(cache: Path) -> None:
    environment = {CACHE_VARIABLE: str(cache), "PYTHONPATH": ":".join(sys.path)}
    running = [
        subprocess.Popen([sys.executable, "-c", MAKE], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    answers = {process.communicate()[0] for process in running}
    assert [process.returncode for process in running] == [0, 0]
    assert len(answers) == 1
    folder = synthetic_folder("clips")
    assert [path.name for path in folder.parent.iterdir()] == ["synthetic"]
    assert len(list(folder.rglob("*.png"))) == 96


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(DatasetError, match="export VITBENCH_CACHE"):
        synthetic_folder("clips")


def test_the_name_synthetic_opens_the_view_of_the_kind_asked_for() -> None:
    train = open_dataset("synthetic", "classification", "train")
    val = open_dataset("synthetic", "classification", "val", limit=20)
    assert (train.info.name, train.info.items, train.info.classes) == ("synthetic", 1500, 10)
    assert [val[index].target for index in range(20)] == [*range(10), *range(10)]
    assert len(open_dataset("synthetic", "instances", "val")) == 36
    assert open_dataset("synthetic", "semantic", "val").info.classes == 13
