"""What a study has and what is left, as lines for a terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vitbench.studies.cell_state import Kind, State, Work, former
from vitbench.studies.estimate import hours_left
from vitbench.studies.matrix import Cell, Study
from vitbench.studies.training_row import Training, flattened

ORDER: tuple[Kind, ...] = ("done", "running", "stale", "failed", "missing")
NO_CELL = "·"
MOST = 20  # lines of one kind


def plan_lines(study: Study, results: Path, states: Mapping[Work, State]) -> list[str]:
    """Return the matrix of a study with the state of each cell, and what is to be known of it."""
    lines = [f"{study.name}: {study.title}", "", *_grid(study, states), ""]
    lines += _cut(_stories(states))
    lines += _cut(list(_history(study, results, states)))
    lines.append(summary(states))
    if any(state.kind != "done" for state in states.values()):
        hours, unknown = hours_left(states)
        known = f"about {hours:.1f} hours on one device" if hours else ""
        rest = f"{len(unknown)} of which nothing like them is finished yet" if unknown else ""
        lines.append("left: " + ", and ".join(filter(None, (known, rest))))
    return lines


def summary(states: Mapping[Work, State]) -> str:
    """Return how many trainings and cells are in which state, as one line."""
    found = []
    for kind, noun in ((Training, "trainings"), (Cell, "cells")):
        counts = Counter(s.kind for work, s in states.items() if isinstance(work, kind))
        if counts:
            told = ", ".join(f"{counts[name]} {name}" for name in ORDER if counts[name])
            found.append(f"{counts.total()} {noun}: {told}")
    return "; ".join(found)


def _grid(study: Study, states: Mapping[Work, State]) -> list[str]:
    head = ["", *(["trained"] if study.trainings else []), *(c.name for c in study.columns)]
    rows = [head]
    for row in study.rows:
        line = [row.name]
        if study.trainings:
            line.append(_trained(row.training, states) if row.training else NO_CELL)
        for column in study.columns:
            kinds = [
                states[cell].kind
                for cell in study.cells
                if cell.row is row and cell.column is column
            ]
            line.append(_joined(kinds))
        rows.append(line)
    widths = [max(len(line[place]) for line in rows) for place in range(len(head))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in rows
    ]


def _joined(kinds: Sequence[str]) -> str:
    """Write the states of the seeds of one place."""
    if not kinds:
        return NO_CELL
    counts = Counter(kinds)
    if len(counts) == 1:
        return kinds[0]
    return ", ".join(f"{counts[name]} {name}" for name in ORDER if counts[name])


def _trained(training: Training, states: Mapping[Work, State]) -> str:
    if training not in states:  # no cell needs it
        return NO_CELL
    done, planned = training.progress
    kind = states[training].kind
    return kind if kind == "done" or not planned else f"{kind} {done}/{planned}"


def _stories(states: Mapping[Work, State]) -> list[str]:
    found = []
    for work, state in states.items():
        who = state.holder
        if who is not None:
            verb = "is worked on by" if state.kind == "running" else "was left by"
            heard = f"last heard of {who.age:.0f} s ago"
            found.append(f"{work.name} {verb} process {who.pid} of {who.host}, {heard}")
        if state.kind == "failed":
            found.append(f"{work.name} failed: {state.error}\n  again: {state.command}")
    return found


def _history(study: Study, results: Path, states: Mapping[Work, State]) -> Iterator[str]:
    """Tell which setting makes a cell a new one, and which earlier cells are no longer named."""
    keys = {work.key for work in states}
    known = {work.name for work in states}
    before: dict[str, dict[str, Any]] = {}
    for key, kept in former(results, study.name):
        if key in keys:
            continue
        before[kept.name] = dict(flattened(dict(kept.request)))
        if kept.name not in known and kept.record:
            yield f"no longer in the study: {kept.name}, record {kept.record[:8]} stays"
    for work, state in states.items():
        if isinstance(work, Cell) and state.kind != "done" and work.name in before:
            now, old = dict(flattened(work.request)), before[work.name]
            changed = [
                f"{name} was {old.get(name)!r}, is {now.get(name)!r}"
                for name in sorted({*now, *old})
                if _plain(now.get(name)) != _plain(old.get(name))
            ]
            yield f"{work.name} is new: {'; '.join(changed)}"


def _plain(value: Any) -> Any:
    return list(map(_plain, value)) if isinstance(value, list | tuple) else value


def _cut(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST
    return [*lines[:MOST], *([f"… and {more} more like these"] if more > 0 else [])]
