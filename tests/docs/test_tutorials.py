"""What the pages tell people to type is typed: every python and console block, page by page."""

import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, blocks, written
from tests.installed_plugins import forget
from vitbench.cli.main import main
from vitbench.engine.protocol import protocols

RUN = {"python", "console"}
PAGES = [page for page in written() if any(block.language in RUN for block in blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_works(
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), names)
        if block.language == "console":
            for command, lines, code in block.sessions():
                capsys.readouterr()
                assert _typed(command) == code, command
                shown = " ".join(capsys.readouterr().out.split())
                assert all(" ".join(line.split()) in shown for line in lines), command


def test_the_package_on_the_page_of_a_protocol_passes_its_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = list(blocks(DOCS / "tutorials" / "protocol.md"))
    source, table = (block.text for block in page if block.language == "python")
    (project,) = (block.text for block in page if block.language == "toml")
    (tmp_path / "spread.py").write_text(source.partition("\nfound = ")[0] + table)
    _installed(tomllib.loads(project)["project"], tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    forget(protocols)
    try:
        assert main(["check-plugin", "spread"]) == 0, capsys.readouterr()
    finally:
        forget(protocols)


def _installed(project: dict[str, Any], site: Path) -> None:
    """Leave what `pip install` leaves of a distribution's entry points."""
    folder = site / f"{project['name']}-{project['version']}.dist-info"
    folder.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(head)
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (folder / "entry_points.txt").write_text("\n".join(lines))


def _typed(command: str) -> int:
    program, *words = shlex.split(command)
    assert program == "vitbench"
    try:
        return main(words)
    except SystemExit as end:  # help ends the program
        return int(end.code or 0)


def test_the_notebook_runs_and_shows_score_and_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(DOCS / "notebooks" / "inline.ipynb", as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for cell in code for output in cell.outputs if "data" in output]
    html = [output["data"]["text/html"] for output in shown if "text/html" in output["data"]]
    assert "top-1 (k=20)" in html[0]
    assert html[-1].startswith("<iframe")
    assert "patches" in html[-1]


def test_the_page_of_the_notebook_has_its_cells() -> None:
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(DOCS / "notebooks" / "inline.ipynb", as_version=4)
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    page = [block.text.rstrip("\n") for block in blocks(DOCS / "notebook.md")]
    assert page == cells
