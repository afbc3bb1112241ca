"""The page of one protocol or scorer, made of its class: nothing is written twice."""

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from vitbench.data.published.sets import find_set
from vitbench.engine.describe import Command, describe
from vitbench.engine.protocol import Scoring
from vitbench.errors import UnknownName
from vitbench.records import Record
from vitbench.reports.published import published_records
from vitbench.settings import as_dict, facts, is_component
import contextlib

SECTIONS = ("Source", "Differs")


def summary(component: type[Scoring]) -> str:
    """Return the first sentence on what it measures."""
    return describe(component, "eval").summary


def protocol_page(component: type[Scoring], command: Command) -> str:
    """Return the page in Markdown.

    Args:
        component: The class.
        command: The command that runs it.
    """
    told = describe(component, command)
    text, sections = _sections(inspect.getdoc(component) or "")
    examples = "\n".join(told.examples)
    parts = [
        f"# {component.name}",
        text,
        f"```sh\n{examples}\n```",
        "## What it reports",
        _table(("score", "unit", "better"), _metrics(component)),
        "## Data",
        _data(told.kind, told.usual, told.layout),
    ]
    if told.presets:
        presets = [(f"`{name}`", note) for name, note in told.presets.items()]
        parts += [
            "## Presets",
            "Choose one by `--preset NAME`.",
            _table(("preset", "what it is"), presets),
        ]
    parts += ["## Settings", _table(("flag", "default", "what it is"), _settings(component()))]
    parts += [
        "A change of any of these is another `spec_id`, so its scores get a column of their own;"
        " those that say *how*, not *what*, are marked with ○ and change none."
    ]
    for title, body in sections.items():
        parts += [f"## {title}", body]
    printed = list(_printed(component.name))
    if printed:
        parts += [
            "## Published values",
            "Scores that others printed, as reports show them beside measured ones.",
            _table(("row", "data", "score", "where"), printed),
        ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _sections(docstring: str) -> tuple[str, Mapping[str, str]]:
    """Split a docstring into its text and the sections Source and Differs."""
    text: list[str] = []
    found: dict[str, list[str]] = {}
    title = ""
    for line in docstring.splitlines():
        head = line.removesuffix(":")
        if line.endswith(":") and head in SECTIONS:
            title = head
            found[title] = []
        elif title and (line.startswith("    ") or not line.strip()):
            found[title].append(line.strip())
        else:
            title = ""
            text.append(line)
    return "\n".join(text).strip(), {name: "\n".join(body).strip() for name, body in found.items()}


def _metrics(component: type[Scoring]) -> Iterator[tuple[str, ...]]:
    words = {True: "higher", False: "lower", None: "neither"}
    for metric in component.metrics:
        label = f"**{metric.label}**" if metric.primary else metric.label
        yield label, metric.unit or "a number", words[metric.higher_is_better]


def _data(kind: str, usual: str, layout: Any) -> str:
    lines = "\n".join(layout)
    where = f"It reads the kind `{kind}`; `--data synthetic` is built in."
    if usual and usual != "synthetic":
        where += f" Without `--data` it reads `$VITBENCH_DATA/{usual}`."
    with contextlib.suppress(UnknownName):
        where += f" `vitbench data get {find_set(usual).name}` fetches it."
    return f"{where}\n\n```text\n{lines}\n```"


def _settings(component: Any, above: str = "") -> Iterator[tuple[str, ...]]:
    for field in dataclasses.fields(component):
        value, about = getattr(component, field.name), facts(field)
        flag = f"{above}{field.name.replace('_', '-')}"
        if is_component(value):
            yield from _settings(value, f"{flag}.")
            continue
        shown = as_dict(component)[field.name]
        mark = "" if about.identity else " ○"
        yield f"`--{flag}`", f"`{shown}`" if shown not in ("", None) else "", f"{about.help}{mark}"


def _printed(name: str) -> Iterator[tuple[str, ...]]:
    for record in published_records():
        if record.protocol.name == name:
            data = record.dataset.name if record.dataset else ""
            yield record.subject.name, data, _scores(record), _citation(record)


def _scores(record: Record) -> str:
    return ", ".join(
        f"{score.label} {score.value:g}" for score in record.scores if score.value is not None
    )


def _citation(record: Record) -> str:
    return record.citation.partition(";")[0]


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines)
