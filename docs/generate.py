"""Write the pages that are made of the code: protocols, data sets, commands, the interface."""

import inspect
import shutil
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from protocol_page import protocol_page, summary

from vitbench import api, kit
from vitbench.cli.main import COMMANDS, main, usage
from vitbench.data.dataset import readers
from vitbench.data.published.sets import find_set, set_names
from vitbench.engine.describe import Command
from vitbench.engine.protocol import protocols, scorers
from vitbench.registry import Registry


def write_pages(folder: Path) -> None:
    """Write every generated page; what an earlier call wrote is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in pages():
        path = folder / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def pages() -> Iterator[tuple[str, str]]:
    """Yield name and Markdown of each page."""
    kinds: tuple[tuple[str, Command, Registry[Any]], ...] = (
        ("protocols", "eval", protocols),
        ("scorers", "score", scorers),
    )
    for room, command, registry in kinds:
        names = [entry.name for entry in registry.entries()]
        for name in names:
            yield f"{room}/{name}", protocol_page(registry.get(name), command)
        yield f"{room}/index", _index(room, {each: summary(registry.get(each)) for each in names})
    yield "data", data_page()
    yield "commands", commands_page()
    yield "api", interface_page("vitbench.api", api, "The public interface")
    yield "kit", interface_page("vitbench.kit", kit, "Parts for authors")


def _index(room: str, summaries: dict[str, str]) -> str:
    about = {
        "protocols": "A protocol scores a backbone: `vitbench eval NAME CHECKPOINT`.",
        "scorers": "A scorer scores what any program predicted: `vitbench score NAME FILE`.",
    }
    rows = "\n".join(f"| [{name}]({name}.md) | {text} |" for name, text in summaries.items())
    tree = "\n".join(summaries)
    return (
        f"# All {room}\n\n{about[room]}\n\n| name | what it answers |\n| --- | --- |\n{rows}\n\n"
        f"```{{toctree}}\n:hidden:\n\n{tree}\n```\n"
    )


def data_page() -> str:
    """Describe each published set, and each kind of data with its folder layouts."""
    parts = [
        "# Data sets and layouts",
        "Data lies under one folder, which the variable `VITBENCH_DATA` names. `vitbench data get"
        " NAME` fetches a set into it; `vitbench data check NAME` counts what is there, and calls a"
        " subset a subset.",
        "## Published sets",
    ]
    for wanted in map(find_set, set_names()):
        size = sum(each.size_bytes for each in wanted.archives if not each.part)
        shown = f"{size / 1e6:,.0f} MB" if size else "size not published"
        counts = "; ".join(
            f"{kind}: " + ", ".join(f"{split} {count:,}" for split, count in splits.items())
            for kind, splits in wanted.splits.items()
        )
        parts += [
            f"### {wanted.name}",
            f"{wanted.title}. [Its page]({wanted.homepage}).",
            f"- paper: {wanted.paper}\n- license: {wanted.license}\n"
            + (f"- download: {shown}\n" if wanted.archives else "")
            + (f"- whole: {counts}\n" if counts else "")
            + (f"- note: {wanted.note}\n" if wanted.note else ""),
            f"```text\n{wanted.layout.strip()}\n```",
        ]
    parts.append("## Kinds of data")
    for entry in readers.entries():
        layout = "\n".join(readers.get(entry.name).layout)
        parts += [f"### {entry.name}", f"```text\n{layout}\n```"]
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Show the help of the program and of each command."""
    parts = ["# Commands", f"```text\n{usage()}\n```"]
    for name in COMMANDS:
        parts += [f"## vitbench {name}", f"```text\n{_help(name)}\n```"]
    return "\n\n".join(parts) + "\n"


def _help(command: str) -> str:
    written = StringIO()
    with redirect_stdout(written), suppress(SystemExit):
        main([command, "--help"])
    return written.getvalue().strip()


def interface_page(module: str, found: Any, title: str) -> str:
    """Describe every name that a module offers, where it has a docstring of its own."""
    about = inspect.getdoc(found) or ""
    lead, _, example = about.partition(">>>")
    parts = [f"# {title}: `{module}`", lead.strip()]
    if example:
        parts.append(f"```pycon\n>>>{example.rstrip()}\n```")
    parts.append("\n\n".join(_described(module, found, found.__all__)))
    return "\n\n".join(parts) + "\n"


def _described(module: str, found: Any, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        part = getattr(found, name)
        if inspect.ismodule(part):
            continue
        if inspect.isclass(part):
            text = f".. autoclass:: {module}.{name}\n   :members:\n"
        elif inspect.isfunction(part):
            text = f".. autofunction:: {module}.{name}\n"
        else:  # an alias of a type, a table, a number: its class has another docstring
            text = f".. py:data:: {module}.{name}\n\n   ``{str(part)[:200]}``\n"
        yield f"```{{eval-rst}}\n{text}```"
