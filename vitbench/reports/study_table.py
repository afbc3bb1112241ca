"""The table of a study: rows are networks, columns are metrics, as a paper prints them."""

from dataclasses import dataclass
from typing import Literal

from vitbench.records import Unit
from vitbench.reports.format_scores import ABSENT, DIGITS, number, signed

LEGEND = "measured [95 % interval] · printed · difference"
Verdict = Literal["holds", "is contradicted", "is not distinguishable from chance", "can't be told"]


@dataclass(frozen=True, slots=True)
class StudyColumn:
    """One metric of one protocol."""

    group: str  # the column of the study that it belongs to
    label: str
    unit: Unit
    higher_is_better: bool | None


@dataclass(frozen=True, slots=True)
class StudyCell:
    """One score, what was printed for it, and by how much they differ."""

    column: StudyColumn
    state: str = "done"  # else: missing, failed, running, …; empty: the study has no such cell
    value: float | None = None  # a mean where there are several seeds
    low: float | None = None  # 95 % interval
    high: float | None = None
    spread: float | None = None  # standard deviation over the seeds
    seeds: int = 1
    printed: float | None = None
    comparable: bool = False  # whether protocol and data are those of the printed value
    best: bool = False  # of its column

    @property
    def difference(self) -> float | None:
        """Measured minus printed, where they may be compared."""
        if self.value is None or self.printed is None or not self.comparable:
            return None
        return self.value - self.printed

    @property
    def measured_text(self) -> str:
        """The measured value with its interval, or its spread over seeds."""
        if self.value is None:
            return ABSENT if self.state in {"", "done"} else self.state
        text = self._number(self.value)
        if self.seeds > 1:
            return f"{text} ± {self._number(self.spread)} ({self.seeds} seeds)"
        if self.low is None or self.high is None:
            return text
        return f"{text} [{self._number(self.low)}, {self._number(self.high)}]"

    @property
    def text(self) -> str:
        """`measured [interval] · printed · difference`, as far as each is there."""
        parts = [self.measured_text]
        if self.printed is not None:
            parts.append(self._number(self.printed))
        if self.difference is not None:
            parts.append(signed(self.difference, DIGITS[self.column.unit]))
        return " · ".join(parts)

    def _number(self, value: float | None) -> str:
        return number(value, self.column.unit)


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One network with its scores."""

    name: str
    about: tuple[str, ...]  # texts of the further columns
    cells: tuple[StudyCell, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a claim, in words."""

    claim: str
    verdict: Verdict
    evidence: str

    @property
    def text(self) -> str:
        """The claim with its verdict, as one line."""
        evidence = f": {self.evidence}" if self.evidence else ""
        return f"{self.claim} {self.verdict}{evidence}"


@dataclass(frozen=True, slots=True)
class StudyTable:
    """Everything that is shown of a study, before it takes a form."""

    name: str
    title: str
    source: str
    shared: tuple[str, ...]  # lines of facts that all rows have, or all but some
    about: tuple[str, ...]  # heads of the further columns
    columns: tuple[StudyColumn, ...]
    rows: tuple[StudyRow, ...]
    judged: tuple[Judged, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def legend(self) -> tuple[str, ...]:
        """What stands below the title: what all rows have, and what the cells say."""
        return (*self.shared, LEGEND)

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads of all columns, one line each."""
        return ("", *self.about, *(f"{column.group}: {column.label}" for column in self.columns))
