"""The content of a report: boards of comparable scores, and records that can't be shown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from vitbench.errors import IncomparableRecords, SettingError, UnknownName
from vitbench.records import Record, Unreadable, failure_of
from vitbench.reports.escape import NAME, plain
from vitbench.reports.families import FAMILIES, family
from vitbench.reports.leaderboard import Column, Leaderboard, build_leaderboards
from vitbench.reports.published import join_measured, published_records
from vitbench.reports.select import (
    check_names,
    runs_of,
    same,
    select_measured,
    select_published,
)
from vitbench.reports.significance import with_comparisons
from vitbench.reports.verdict import Verdict, judge


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that a report shows, before it takes a form."""

    boards: tuple[Leaderboard, ...]
    compared: tuple[str, ...]
    failed: tuple[Record, ...]
    skipped: tuple[Unreadable, ...]
    folders: tuple[Path, ...] = ()  # where the records were read
    hidden: int = 0  # printed rows of the compared methods that are not shown
    verdict: Verdict | None = None  # where two contestants meet
    against: str = ""  # the name of the run that all others are held against, as it was typed


def build_table(
    records: Iterable[Record | Unreadable],
    *,
    compare: Sequence[str] = (),
    published: str = "",
    strict: bool = False,
    folder: Path | Sequence[Path] | None = None,
    against: str = "",
    metrics: Sequence[str] = (),
) -> Table:
    """Choose records and sort them into boards that may be compared.

    Args:
        records: What `read_records` gave.
        compare: Names of runs or methods, in the order to show them; all runs where none is given.
        published: Which printed rows stand beside them; see `select_published`.
        strict: Refuse runs of one protocol that differ in settings or data.
        folder: The results folder, or several, for per-item scores and pictures; no comparisons
            without it.
        against: The name of a run that all others are held against; left out: all pairs of runs
            are compared.
        metrics: Names or labels of the metrics to show, with shell patterns (`top1*`); the one
            that ranks a board is always shown. Left out: all.

    Raises:
        UnknownName: Nothing has a compared name.
        IncomparableRecords: Under `strict`.
    """
    found = list(records)
    read = [item for item in found if isinstance(item, Record)]
    known = published_records()
    check_names(compare, read, known)
    chosen = select_measured(read, compare)
    runs = [record for record in chosen if record.status == "ok"]
    if strict:
        _refuse_differences(build_leaderboards(runs))
    rows = select_published(known, compare, published, read)
    shown = join_measured(rows, runs)
    if published in {"", "all"}:
        methods = {record.subject.method for record in runs} - {""}
        others = [
            row
            for row in known
            if row not in rows and any(same(row.subject.method, m) for m in methods)
        ]
        joined = join_measured(others, runs)
        shown += [new for old, new in zip(others, joined, strict=True) if new is not old]
    boards = tuple(
        sorted(build_leaderboards([*runs, *shown]), key=lambda one: FAMILIES.index(family(one)))
    )
    if metrics:
        boards = _with_metrics(boards, metrics)
    held = _held(runs, against) if against else ()
    folders = () if folder is None else (folder,) if isinstance(folder, Path) else tuple(folder)
    boards = with_comparisons(boards, compare, folders, held) if folders else boards
    return Table(
        boards=boards,
        compared=tuple(compare),
        failed=tuple(_unanswered(chosen)),
        skipped=tuple(item for item in found if isinstance(item, Unreadable)),
        folders=folders,
        hidden=_hidden(known, compare, rows, read),
        verdict=judge(boards, against=bool(against)),
        against=against,
    )


def _unanswered(records: Sequence[Record]) -> Iterator[Record]:
    """Yield the runs that failed, but those that succeeded in another try."""
    answered = {failure_of(record.id) for record in records if record.status == "ok"}
    for record in records:
        if record.status == "failed" and record.id not in answered:
            yield record


def _with_metrics(boards: Sequence[Leaderboard], wanted: Sequence[str]) -> tuple[Leaderboard, ...]:
    """Leave out the columns that were not asked for.

    Raises:
        UnknownName: No board has a wanted metric.
    """
    columns = [column for board in boards for column in board.columns]
    for pattern in wanted:
        if not any(_is_wanted(column, [pattern]) for column in columns):
            raise UnknownName("metric", pattern, {column.metric for column in columns})
    return tuple(
        replace(
            board,
            columns=tuple(
                column
                for column in board.columns
                if _is_wanted(column, wanted) or column in (board.primary, board.headline)
            ),
        )
        for board in boards
    )


def _is_wanted(column: Column, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(name.casefold(), pattern.casefold())
        for name in (column.metric, column.label)
        for pattern in patterns
    )


def _held(runs: Sequence[Record], against: str) -> list[Record]:
    """Return the runs that a name means, with which all others are compared.

    Raises:
        UnknownName: No run that is shown has the name.
        SettingError: It keeps no per-item scores.
    """
    found = runs_of(runs, against)
    if not found:
        known = {plain(record.subject.name, NAME) for record in runs}
        raise UnknownName(
            "run", plain(against, NAME), known, first=known, hint="vitbench report lists every run"
        )
    if not any(record.items for record in found):
        raise SettingError([f"--against {plain(against, NAME)}: it keeps no per-item scores"])
    return found


def _hidden(
    known: Sequence[Record],
    compare: Sequence[str],
    rows: Sequence[Record],
    read: Sequence[Record],
) -> int:
    """Count the printed rows of the compared methods that are not shown."""
    methods = [name for name in compare if not runs_of(read, name)]
    every = select_published(known, methods, "all") if methods else []
    return len([row for row in every if row not in rows])


def _refuse_differences(boards: Sequence[Leaderboard]) -> None:
    apart = [board for board in boards if board.why_incomparable]
    if apart:
        raise IncomparableRecords(
            f"runs of {apart[0].protocol.name!r} can't share a column.",
            expected="equal settings and equal data",
            found="; ".join(
                f"{board.title}: {', '.join(board.why_incomparable)}" for board in apart
            ),
            hint="leave --strict away to see them in columns of their own",
        )
