"""What `vitbench cache` shows, asks and removes."""

import fcntl
import json
import os
from pathlib import Path

import pytest

from vitbench.cli.main import main


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the one feature store of a cache of its own, 2 MB."""
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path))
    folder = tmp_path / "features" / "0123456789abcdef"
    folder.mkdir(parents=True)
    about = {"dataset": "imagenet", "split": "val", "arch": "vit_tiny"}
    (folder / "about.json").write_text(json.dumps(about))
    (folder / "block-1.pooled.npy").write_bytes(bytes(2 * 2**20))
    (folder / "lock").touch()
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "x.json").write_text("{}")
    return folder


def test_the_list_tells_of_every_part(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "ls"]) == 0
    said = capsys.readouterr().out
    assert "0123456789ab       2.0 MB  imagenet/val" in said
    assert "gate               0.0 MB  1 entries" in said
    assert f"2.0 MB in {store.parents[1]}" in said


def test_clear_needs_to_be_told_what(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "clear"]) == 2
    assert "vitbench cache clear features" in capsys.readouterr().err
    assert main(["cache", "clear", "featurs", "--yes"]) == 2
    assert "Did you mean 'features'?" in capsys.readouterr().err
    assert store.exists()


def test_without_a_terminal_nothing_is_removed_unless_yes_is_said(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert main(["cache", "clear", "features"]) == 2
        shown = capsys.readouterr()
        assert "imagenet/val" in shown.out
        assert "with --yes" in shown.err
        assert store.exists()
        assert main(["cache", "clear", "features", "--yes"]) == 0
    assert "removed 1 entries, 2.0 MB" in capsys.readouterr().out
    assert not store.exists()
    assert (store.parents[1] / "gate" / "x.json").exists()
    assert main(["cache", "clear", "features", "--yes"]) == 0
    assert "nothing of features is kept" in capsys.readouterr().out


@pytest.mark.parametrize(("answer", "stays"), [("", True), ("n", True), ("y", False)])
def test_at_a_terminal_the_answer_decides(
    store: Path, answer: str, stays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked: list[str] = []

    def reply(question: str) -> str:
        asked.append(question)
        return answer

    monkeypatch.setattr("builtins.input", reply)
    assert main(["cache", "clear", "imagenet"]) == 0
    assert "2.0 MB" in asked[0]
    assert store.exists() is stays


def test_a_store_in_use_is_named_and_kept(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (store / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert main(["cache", "clear", "all", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "kept, in use by a run: features 0123456789ab" in said
    assert "removed 1 entries" in said  # the gate's verdict
    assert store.exists()
