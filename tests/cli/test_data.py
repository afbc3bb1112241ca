"""`vitbench data list|get|check|layout`, typed."""

from pathlib import Path

import pytest

from tests.local_server import reply, running
from tests.unit.data.published.conftest import archive, served
from vitbench.cli import data_sets
from vitbench.cli.main import main


def test_get_says_what_it_fetches_and_checks_what_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VITBENCH_DATA", str(tmp_path / "data"))
    with running() as server:
        wanted = served("davis", server)
        monkeypatch.setattr(data_sets, "find_set", lambda name: wanted)
        server.answers = [reply(archive("clips", tmp_path, below="DAVIS"))]
        assert main(["data", "get", "davis", "--plan"]) == 0
        assert server.asked == []
        assert main(["data", "get", "davis"]) == 0
    out = capsys.readouterr().out
    assert "davis.zip from 127.0.0.1" in out
    assert "davis is a subset" in out
    assert main(["data", "check", "davis"]) == 0


def test_a_broken_copy_ends_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017" / "1.jpg").touch()
    assert main(["data", "check", "coco", "--at", str(tmp_path)]) == 2
    assert "1 empty files" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["list"], "SPair-71k"),
        (["layout", "davis"], "JPEGImages/480p/CLIP"),
        (["layout", "pairs"], "PairAnnotation/test"),
    ],
)
def test_sets_and_layouts_are_printed(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", *words]) == 0
    assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["fetch"], "no data command 'fetch'"),
        (["get", "davsi"], "Did you mean 'davis'"),
        (["layout", "nothing"], "no published set or kind of data"),
        (["check", "davis"], "VITBENCH_DATA is not set"),
    ],
)
def test_a_wrong_word_says_which_are_right(
    words: list[str],
    text: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("VITBENCH_DATA", raising=False)
    assert main(["data", *words]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.parametrize("name", ["davis", "coco", "ade20k"])
def test_the_real_files_are_called_a_subset(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", name]) == 0
    assert f"{name} is a subset" in capsys.readouterr().out
