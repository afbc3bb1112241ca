"""From checkpoints and protocols that were typed to a matrix."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from vitbench.errors import SettingError
from vitbench.models.spec_facts import split_facts
from vitbench.studies.matrix import Column, Row, Study

NAME = "sweep"


def matrix_of(
    checkpoints: Sequence[str],
    *,
    on: Sequence[str] = (),
    suite: Sequence[Column] = (),
    data: Sequence[str] = (),
    limit: int | None = None,
    seeds: Sequence[int] = (0,),
    skip: Sequence[str] = (),
) -> Study:
    """Return the study whose rows are checkpoints and whose columns are protocols.

    Args:
        checkpoints: As typed, with facts behind them.
        on: PROTOCOL or PROTOCOL@PRESET.
        suite: Columns that are there already.
        data: DATA for all protocols, or PROTOCOL=DATA.
        limit: The most items of each split.
        seeds: Seeds of every cell.
        skip: Shell patterns of ROW/COLUMN.

    Raises:
        SettingError: Data was named for a protocol that is not there.
        UnknownName: There is no such protocol or preset.
    """
    told = {"limit": limit} if limit else {}
    columns = [
        Column(name, one.on, one.data, {**one.settings, **told}, one.metrics, one.printed)
        for name, one in ((one.name, one) for one in suite)
    ]
    columns += [Column(word, word, "", told) for word in dict.fromkeys(on)]
    columns = with_data(columns, data)
    for column in columns:
        _ = column.protocol
    names = _names([split_facts(word)[0] for word in checkpoints])
    rows = [Row(name, word) for name, word in zip(names, checkpoints, strict=True)]
    left_out = {
        f"{row.name}/{column.name}"
        for row in rows
        for column in columns
        if any(fnmatchcase(f"{row.name}/{column.name}", pattern) for pattern in skip)
    }
    return Study(
        name=NAME,
        title=f"{len(rows)} checkpoints by {len(columns)} protocols",
        rows=tuple(rows),
        columns=tuple(columns),
        seeds=tuple(seeds),
        left_out=frozenset(left_out),
    )


def with_data(columns: Sequence[Column], words: Sequence[str]) -> list[Column]:
    """Give columns their data; of several sets for all protocols, each makes a column."""
    protocols = {column.on.partition("@")[0] for column in columns}
    own: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals and name not in protocols:
            raise SettingError(
                [f"--data {word}: no protocol {name!r} is in this sweep"],
                expected=f"one of {', '.join(sorted(protocols))}",
            )
        own.setdefault(name if equals else "", []).append(value if equals else word)
    found = []
    for column in columns:
        sets = own.get(column.on.partition("@")[0], own.get("", [column.data]))
        for data in sets:
            name = f"{column.name} {Path(data).name}" if len(sets) > 1 else column.name
            found.append(
                Column(name, column.on, data, column.settings, column.metrics, column.printed)
            )
    return found


def _names(specs: Sequence[str]) -> list[str]:
    """Name checkpoints by the last part of their paths where that tells them apart."""
    short = [Path(spec).name if Path(spec).exists() else spec for spec in specs]
    return [
        spec if short.count(name) > 1 else name for name, spec in zip(short, specs, strict=True)
    ]
