"""What `vitbench results` lists and removes."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vitbench.cli.main import main
from vitbench.records import ErrorRef, Record, stem, write_record
from vitbench.reports.published import published_records


def record(name: str, number: int = 0, aliases: tuple[str, ...] = ()) -> Record:
    found = next(record for record in published_records() if record.protocol.name == "knn")
    subject = replace(found.subject, name=name, aliases=aliases)
    return replace(found, source="measured", subject=subject, id=f"{number:x}" * 64)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return a folder of three records, one failed, and a file that is none."""
    for one in (record("one", 1), record("two", 2, ("deux",))):
        path = write_record(one, tmp_path)
        path.with_suffix("").mkdir()
        (path.with_suffix("") / "picture.png").touch()
    error = ErrorRef(kind="OSError", message="no room")
    write_record(replace(record("one", 3), status="failed", scores=(), error=error), tmp_path)
    (tmp_path / "knn" / "broken.json").write_text("{")
    return tmp_path


def left(results: Path) -> set[str]:
    return {path.name for path in (results / "knn").iterdir()}


def command(results: Path, *words: str) -> int:
    return main(["results", *words, "--results", str(results)])


def test_the_list_tells_of_every_file(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(results, "ls") == 0
    said = capsys.readouterr().out
    assert "11111111" in said
    assert "two = deux · knn" in said
    assert "failed: no room" in said
    assert "broken.json: no record" in said


@pytest.mark.parametrize("word", ["two", "deux", "22222222", "22222222222", "two.22222222.json"])
def test_a_record_is_removed_with_all_that_is_its_own(results: Path, word: str) -> None:
    before = left(results)
    assert command(results, "rm", word, "--yes") == 0
    two = stem(record("two", 2))
    assert before - left(results) == {two, f"{two}.json"}


def test_a_name_removes_every_record_of_it(results: Path) -> None:
    assert command(results, "rm", "one", "--yes") == 0
    assert left(results) == {"two.22222222", "two.22222222.json", "broken.json"}


def test_nothing_is_removed_unasked(
    results: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = left(results)
    with Path(os.devnull).open() as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert command(results, "rm", "two") == 2
    assert "two = deux" in capsys.readouterr().out
    assert left(results) == before


@pytest.mark.parametrize("word", ["tow", "2222222", "../knn", "broken.json", "*"])
def test_an_unknown_name_is_refused_and_nothing_else_goes(
    results: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left(results)
    assert command(results, "rm", "one", word, "--yes") == 2
    assert "no record" in capsys.readouterr().err
    assert left(results) == before


def test_a_missing_folder_and_an_unknown_verb_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path / "none", "ls") == 2
    assert main(["results", "remove"]) == 2
    assert "no results command 'remove'" in capsys.readouterr().err
