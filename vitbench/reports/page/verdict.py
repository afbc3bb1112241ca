"""The verdict as the page shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

from vitbench.reports import verdict_text
from vitbench.reports.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers with the table behind them."""

    answers: Sequence[verdict_text.Answer]
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    remarks: Sequence[str]


def build_answers(verdict: Verdict) -> Answers:
    """Put a verdict into words for the page."""
    heads, rows = verdict_text.table(verdict)
    return Answers(verdict_text.headlines(verdict), heads, rows, verdict_text.remarks(verdict))
