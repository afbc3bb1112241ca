"""Judge what a study claims by the paired test of the reports."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from vitbench.records import Record
from vitbench.reports.format_scores import evidence
from vitbench.reports.leaderboard import Comparison, Leaderboard, build_leaderboards
from vitbench.reports.significance import with_comparisons
from vitbench.reports.study_table import Judged
from vitbench.studies.cell_state import State, Work
from vitbench.studies.matrix import Study


def judge(study: Study, results: Path, states: Mapping[Work, State]) -> Iterator[Judged]:
    """Yield every claim of a study with its verdict, corrected for the number of all of them.

    With several seeds, the first one's records are compared.
    """
    asked: list[tuple[str, tuple[Record, Record] | None]] = []
    for claim in study.claims:
        for column in claim.columns or tuple(one.name for one in study.columns):
            if study.left_out & {f"{claim.better}/{column}", f"{claim.than}/{column}"}:
                continue
            one, other = (_record(study, states, row, column) for row in (claim.better, claim.than))
            text = f"{claim.better} above {claim.than} on {column}"
            asked.append((text, (one, other) if one and other else None))
    boards = [_board(pair) if pair else None for _, pair in asked]
    compared = iter(with_comparisons([one for one in boards if one], ("both",), [results]))
    for (text, pair), board in zip(asked, boards, strict=True):
        if pair is None:
            yield Judged(text, "can't be told", "a score is missing")
        elif board is None:
            yield Judged(text, "can't be told", "the runs differ in settings or data")
        else:
            yield _judged(text, next(compared))


def _record(study: Study, states: Mapping[Work, State], row: str, column: str) -> Record | None:
    return next(
        (
            states[cell].record
            for cell in study.cells
            if (cell.row.name, cell.column.name) == (row, column)
        ),
        None,
    )


def _board(pair: tuple[Record, Record]) -> Leaderboard | None:
    """Return the board of two records; None where they may not share one."""
    boards = build_leaderboards(pair)
    return boards[0] if len(boards) == 1 else None


def _judged(text: str, board: Leaderboard) -> Judged:
    if not board.comparisons:
        return Judged(text, "can't be told", "there are no scores of single items to compare")
    found: Comparison = board.comparisons[0]
    ahead = (found.difference > 0) == (found.column.higher_is_better is not False)
    said = evidence(found, board.items_name)
    if not found.distinct:
        return Judged(text, "is not distinguishable from chance", said)
    return Judged(text, "holds" if ahead else "is contradicted", said)
