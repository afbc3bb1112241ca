import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vitbench.cli.report import run
from vitbench.errors import RecordError, SettingError, UnknownName
from vitbench.records import ErrorRef, write_record
from vitbench.reports.published import published_records


def test_the_report_of_printed_rows_needs_no_results(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--results", str(tmp_path / "none"), "--compare", "dino", "selfpatch", "esvit"]
    assert run([*arguments, "--format", "json"]) == 0
    rows = json.loads(capsys.readouterr().out)["scores"]
    assert {row["value"] for row in rows if row["metric"] == "jf_mean"} == {55.1, 57.0, 53.5}


def test_a_missing_results_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="no results folder"):
        run(["--results", str(tmp_path / "none")])


def test_the_report_is_written_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.tex"
    assert run(["--compare", "dino", "--format", "latex", "--out", str(path)]) == 0
    assert "\\toprule" in path.read_text()


def test_only_a_file_can_be_opened() -> None:
    with pytest.raises(SettingError, match="needs a file"):
        run(["--compare", "dino", "--format", "markdown", "--open"])


def test_a_written_page_is_opened(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    path = tmp_path / "page.html"
    assert run(["--compare", "dino", "--format", "html", "--out", str(path), "--open"]) == 0
    assert opened == [path.as_uri()]


def test_a_page_without_out_is_written_into_the_results_folder_and_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    write_record(next(iter(published_records())), tmp_path)
    assert run(["--results", str(tmp_path), "--format", "html"]) == 0
    path = tmp_path / "report.html"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text().startswith("<!doctype html>")


def test_a_failed_run_is_one_line_and_told_whole_when_asked(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good = next(record for record in published_records() if record.protocol.name == "davis")
    error = ErrorRef(kind="DatasetError", message="no room left.\n  expected: more\n  try: rm")
    failed = replace(good, source="measured", status="failed", scores=(), error=error)
    write_record(replace(failed, command="vitbench eval davis x.pth"), tmp_path)
    assert run(["--results", str(tmp_path), "--published", "none"]) == 0
    told = capsys.readouterr().out
    assert "no room left" in told
    assert "expected: more" not in told
    assert "--failed" in told
    assert run(["--results", str(tmp_path), "--failed"]) == 0
    told = capsys.readouterr().out
    for part in ("no room left", "expected: more", "try: rm", "vitbench eval davis x.pth"):
        assert part in told


def test_metrics_are_chosen_by_name_or_pattern(capsys: pytest.CaptureFixture[str]) -> None:
    shown = ["--compare", "dino", "selfpatch", "--format", "csv", "--metrics"]
    assert run([*shown, "ap75_*"]) == 0
    metrics = {line.split(",")[4] for line in capsys.readouterr().out.splitlines()[1:]}
    assert metrics & {"ap50_box", "ap75_box", "ap75_mask", "aacc"} == {"ap75_box", "ap75_mask"}
    assert {"ap_box", "miou", "jf_mean"} <= metrics  # they rank
    with pytest.raises(UnknownName, match="no metric 'ap76'"):
        run([*shown, "ap76"])


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="could not be written"):
        run(["--compare", "dino", "--format", "csv", "--out", str(tmp_path / "file" / "x.csv")])


def test_a_broken_file_among_records_is_named_and_skipped(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "knn").mkdir()
    (tmp_path / "knn" / "broken.json").write_text('{"schema": 1, "id":')
    (tmp_path / "knn" / "newer.json").write_text('{"schema": 99}')
    (tmp_path / "knn" / "foreign.json").write_text("[1, 2]")
    assert run(["--results", str(tmp_path), "--format", "markdown"]) == 0
    said = capsys.readouterr().out
    for name in ("broken.json", "newer.json", "foreign.json"):
        assert name in said


def test_the_report_imports_no_torch_and_no_plot_library() -> None:
    code = (
        "import sys; from vitbench.cli.report import run;"
        "run(['--compare', 'dino', '--format', 'csv']);"
        "heavy = {'torch', 'timm', 'matplotlib', 'jinja2', 'numpy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


ROGUE = "</script><script>alert(1)</script>=cmd|'/C calc'!A0\x1b]0;x\x07\u202e"
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "nan": lambda record: record["scores"][0].update(value=math.nan, low=math.inf),
    "huge": lambda record: record["scores"][0].update(value=1e308, high=-1e308),
    "beyond": lambda record: record["scores"][0].update(value=10**400),
    "name": lambda record: record["subject"].update(name=ROGUE, method=ROGUE, arch=ROGUE),
    "label": lambda record: record["scores"][0].update(label=ROGUE, metric=ROGUE),
    "data": lambda record: record["dataset"].update(name=ROGUE, split=ROGUE, items=-1),
    "settings": lambda record: record["protocol"].update(settings={ROGUE: [ROGUE, {"a": None}]}),
    "files": lambda record: record.update(items="../../etc/passwd", artifacts={ROGUE: "/etc"}),
    "missing": lambda record: record.pop("subject"),
    "no-scores": lambda record: record.update(scores=[]),
    "wrong-type": lambda record: record.update(scores="many"),
    "twice": lambda record: record.update(scores=record["scores"] * 2),
}


@pytest.mark.parametrize("form", ["rich", "markdown", "csv", "latex", "json", "html"])
def test_records_of_strangers_are_shown_or_skipped_but_never_harm(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(record for record in published_records() if record.protocol.name == "davis")
    good = replace(good, source="measured", items="x.items.npz")
    path = write_record(good, tmp_path)
    for number, (name, change) in enumerate(CHANGES.items()):
        record = json.loads(path.read_text())
        record["subject"]["name"], record["id"] = name, f"{number:064d}"
        change(record)
        (path.parent / f"{name}.json").write_text(json.dumps(record))
    text = text_of(form, ["--results", str(tmp_path)], capsys)
    if form != "json":  # which escapes control characters by its own rules
        assert not {"\x1b", "\x07", "\u202e"} & set(text)
    if form == "json":
        assert len(json.loads(text)["scores"]) >= 8
    if form == "html":
        assert "<script>alert" not in text
    if form in {"rich", "markdown", "html"}:
        assert "missing.json" in text
        assert "wrong-type.json" in text


def text_of(form: str, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run the command, and return its report; HTML goes to a file that it names."""
    assert run([*arguments, "--format", form]) == 0
    said = capsys.readouterr().out
    return Path(said.strip()).read_text(encoding="utf-8") if form == "html" else said


FORMS = ["rich", "markdown", "csv", "latex", "json", "html"]


@pytest.mark.parametrize("form", FORMS)
def test_a_folder_of_failed_runs_alone_says_why(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(record for record in published_records() if record.protocol.name == "davis")
    error = ErrorRef(kind="OSError", message="no room left")
    failed = replace(good, source="measured", status="failed", scores=(), error=error)
    write_record(replace(failed, dataset=None), tmp_path)
    assert "no room left" in text_of(form, ["--results", str(tmp_path)], capsys)


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_folder_is_no_error(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--results", str(tmp_path), "--format", form]) == 0
    assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name", ["a/b c", "ünï", "-x", "=1+1", "'", '"', "a\nb", "日本", "%s{}", ""]
)
def test_a_run_of_any_name_is_shown_and_can_be_compared(
    name: str, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = next(record for record in published_records() if record.protocol.name == "davis")
    for number in range(2):
        subject = replace(good.subject, name=name)
        write_record(
            replace(good, source="measured", subject=subject, id=f"{number}" * 64), tmp_path
        )
    shown = text_of(form, ["--results", str(tmp_path), f"--compare={name}"], capsys)
    assert "(run 00000000)" in shown
    assert "(run 11111111)" in shown
