"""Pages and code say the same: flags, links, variables, and one page for each protocol."""

import re
import shlex
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, blocks, written
from vitbench.cli.main import COMMANDS, main
from vitbench.engine.protocol import protocols

VERBS = {"data", "cache", "results"}
NAMED = {"eval", "score", "train"}  # followed by the name of a component
TABLES = {"study", "sweep", "reproduce"}  # whose flags depend on what is done
INCLUDED = re.compile(r"^```\{(?:literalinclude|include)\} (\S+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def _commands(page: Path) -> list[list[str]]:
    """The commands of vitbench that a page shows, without what starts them."""
    found = []
    for block in blocks(page):
        if block.language not in {"sh", "console"}:
            continue
        for line in block.commands():
            words = shlex.split(line, comments=True)
            if "vitbench" in words and words[0] not in {"pip", "export", "source", "git"}:
                found.append(words[words.index("vitbench") + 1 :])
    return found


@cache
def _help(*words: str) -> str:
    shown = StringIO()
    with redirect_stdout(shown), suppress(SystemExit):
        main([*words, "--help"])
    return shown.getvalue()


@pytest.mark.parametrize("page", written(), ids=lambda page: page.stem)
def test_every_flag_that_a_page_shows_exists(page: Path) -> None:
    for words in _commands(page):
        if not words or words[0].startswith("-") or words[0].isupper():
            continue
        assert words[0] in COMMANDS, words
        first = next((i for i, word in enumerate(words) if word.startswith("--")), len(words))
        taken = first if words[0] in TABLES else min(2 if words[0] in VERBS | NAMED else 1, first)
        known = [*words[:taken]]
        flags = {word.partition("=")[0] for word in words[taken:] if word.startswith("--")}
        text = _help(*known) if flags - {"--help"} else "--help"
        missing = {flag for flag in flags - {"--help"} if f"{flag} " not in text}
        assert not missing, f"{page.name}: {shlex.join(words)}"


@pytest.mark.parametrize("page", written(), ids=lambda page: page.stem)
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")) or "generated/" in target:
            continue
        assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", written(), ids=lambda page: page.stem)
def test_every_file_that_a_page_shows_is_there(page: Path) -> None:
    for target in INCLUDED.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).is_file(), f"{page.name}: {target}"


def test_each_protocol_has_a_page_with_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import generate

    generate.write_pages(tmp_path)
    for entry in protocols.entries():
        text = (tmp_path / "protocols" / f"{entry.name}.md").read_text()
        assert text.startswith(f"# {entry.name}\n")
        assert "## Settings" in text
    knn = (tmp_path / "protocols" / "knn.md").read_text()
    assert "`--temperature`" in knn
    assert "eval_knn.py" in knn  # its source
    assert "74.5" in knn  # a published value
    assert "train/CLASS/NAME.jpg" in knn
    assert "train 60, val 30" in (tmp_path / "data.md").read_text()  # of DAVIS
