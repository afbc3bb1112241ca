"""The pages of the documentation as tests read them: their blocks of code, in order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
EXIT_CODE = re.compile(r"\[exit code (\d+)\]")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: `python` and `console` are run, `sh` is only read."""

    language: str
    text: str

    def commands(self) -> list[str]:
        """The commands: in a console those after `$ `, in a script every line with a command."""
        lines = self.text.splitlines()
        if self.language == "console":
            return [line[2:] for line in lines if line.startswith("$ ")]
        return [line for line in lines if line and not line.startswith("#")]

    def sessions(self) -> list[tuple[str, list[str], int]]:
        """The commands of a console, each with lines that it prints and its exit code."""
        found: list[tuple[str, list[str], int]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], [], 0))
            elif code := EXIT_CODE.fullmatch(line):
                found[-1] = (*found[-1][:2], int(code[1]))
            else:
                found[-1][1].append(line.strip())
        return found


def written() -> list[Path]:
    """List the pages that people wrote."""
    return sorted(
        path
        for path in (*DOCS.rglob("*.md"), DOCS.parent / "README.md")
        if not {"_build", "generated"} & {*path.parts}
    )


def blocks(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page."""
    for language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        yield Block(language, text)
