"""The content of a report: boards of comparable scores, and records that can't be shown."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.errors import IncomparableRecords
from vitbench.records import Record, Unreadable
from vitbench.reports.leaderboard import Leaderboard, build_leaderboards
from vitbench.reports.published import join_measured, published_records
from vitbench.reports.select import (
    check_names,
    runs_of,
    same,
    select_measured,
    select_published,
)
from vitbench.reports.significance import with_comparisons


@dataclass(frozen=True, slots=True)
class Table:
    """Everything that a report shows, before it takes a form."""

    boards: tuple[Leaderboard, ...]
    compared: tuple[str, ...]
    failed: tuple[Record, ...]
    skipped: tuple[Unreadable, ...]
    folder: Path | None = None  # where the records were read
    hidden: int = 0  # printed rows of the compared methods that are not shown


def build_table(
    records: Iterable[Record | Unreadable],
    *,
    compare: Sequence[str] = (),
    published: str = "",
    strict: bool = False,
    folder: Path | None = None,
) -> Table:
    """Choose records and sort them into boards that may be compared.

    Args:
        records: What `read_records` gave.
        compare: Names of runs or methods, in the order to show them; all runs where none is given.
        published: Which printed rows stand beside them; see `select_published`.
        strict: Refuse runs of one protocol that differ in settings or data.
        folder: The results folder, for per-item scores and pictures; no comparisons without it.

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
    boards = build_leaderboards([*runs, *shown])
    return Table(
        boards=with_comparisons(boards, compare, folder) if folder else boards,
        compared=tuple(compare),
        failed=tuple(record for record in chosen if record.status == "failed"),
        skipped=tuple(item for item in found if isinstance(item, Unreadable)),
        folder=folder,
        hidden=_hidden(known, compare, rows, read),
    )


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
