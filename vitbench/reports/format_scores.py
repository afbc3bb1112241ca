"""Numbers and sources as people read them; the only place where numbers are rounded."""

from dataclasses import dataclass

from vitbench.records import RecordedScore, Unit
from vitbench.reports import escape, marks
from vitbench.reports.leaderboard import Column, Comparison, Entry, Leaderboard

ABSENT = "—"
DIGITS = {"%": 1, "count": 2, "px": 1, "s": 1, "": 3}
HUGE = 1e7
MARK = "*"


def name(text: str) -> str:
    """Shorten the name of a subject."""
    return escape.plain(text, escape.NAME)


def number(value: float | None, unit: Unit) -> str:
    """Write a number with the digits of its unit; a huge one in powers of ten."""
    if value is None:
        return ABSENT
    if abs(value) >= HUGE:
        return f"{value:.3g}"
    if not unit:
        return f"{value:.4g}"
    return f"{round(value, DIGITS[unit]) + 0.0:.{DIGITS[unit]}f}"


def signed(value: float, digits: int) -> str:
    """Write a difference with its sign; one that rounds to nothing is no -0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def difference(value: float, unit: Unit) -> str:
    """Write a difference of two scores; it is small, hence one digit more than a score has."""
    return signed(value, DIGITS[unit] + 1) if unit or abs(value) < 1 else f"{value:+.4g}"


def with_interval(score: RecordedScore) -> str:
    """Write a score, and its interval in brackets where it has one."""
    value = number(score.value, score.unit)
    if score.low is None or score.high is None:
        return value
    return f"{value} [{number(score.low, score.unit)}, {number(score.high, score.unit)}]"


@dataclass(frozen=True, slots=True)
class Cell:
    """One score as it is shown."""

    column: Column
    value: float | None
    text: str
    interval: str  # of the leading scores; empty where they have none
    marked: bool  # distinguishable from the run that others are held against
    best: bool

    @property
    def full(self) -> str:
        """The score with its mark and interval."""
        return f"{self.text}{MARK if self.marked else ''} {self.interval}".strip()


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of a board as it is shown."""

    entry: Entry
    cells: tuple[Cell, ...]
    gap: str  # to the printed value of the same method; empty where none is known
    p: str  # of the difference to the run that others are held against; empty where not compared
    marks: tuple[str, ...]  # what is the matter with the run

    @property
    def sign(self) -> str:
        """What stands beside the name of a run that something is the matter with."""
        return f" {marks.SIGN}" if self.marks else ""


def write(board: Leaderboard) -> list[Row]:
    """Write the lines of a board, best first."""
    best, marked, printed = board.best(), board.standing_out(), board.printed_for()
    held = board.against_reference()
    leading = [column for column in board.columns if column.primary or column == board.primary]
    return [
        Row(
            entry,
            tuple(
                Cell(
                    column,
                    value := entry.value(column.metric),
                    number(value, column.unit),
                    _interval(entry, column) if column in leading else "",
                    column == board.primary and entry.name in marked,
                    value is not None and value == best.get(column.metric),
                )
                for column in board.columns
            ),
            _gap(board.primary, entry, printed.get(entry.name)),
            p_value(held[entry.name].corrected) if entry.name in held else "",
            marks.run_marks(entry.record),
        )
        for entry in board.ranked()
    ]


def _interval(entry: Entry, column: Column) -> str:
    score = entry.scores.get(column.metric)
    if score is None or score.low is None or score.high is None:
        return ""
    return f"[{number(score.low, column.unit)}, {number(score.high, column.unit)}]"


def _gap(column: Column | None, entry: Entry, printed: Entry | None) -> str:
    if column is None or printed is None:
        return ""
    value, other = entry.value(column.metric), printed.value(column.metric)
    if value is None or other is None:
        return ""
    where = printed.record.citation.partition(";")[0].partition(",")[0]
    return f"{signed(value - other, DIGITS[column.unit])} to {where}"


def why_incomparable(board: Leaderboard) -> str:
    """Return what keeps a board from the first of its protocol; empty where nothing does."""
    return (
        "not comparable with the first: " + "; ".join(board.why_incomparable)
        if board.why_incomparable
        else ""
    )


def remarks(board: Leaderboard) -> list[str]:
    """Return all remarks on a board that its reader must know beside the numbers."""
    return [text for text in (why_incomparable(board), *notes(board)) if text]


def notes(board: Leaderboard) -> list[str]:
    """Return further remarks on the lines of a board."""
    said = list(marks.data_marks(board.dataset))
    said += [
        f"{marks.SIGN} {name(entry.name)}: {text}"
        for entry in board.entries
        for text in marks.run_marks(entry.record)
    ]
    presets = {entry.record.protocol.preset for entry in board.entries if entry.published}
    if len(presets) > 1:
        said.append("printed as one column; their presets here: " + ", ".join(sorted(presets)))
    if board.comparisons:
        said.append(f"p: of the difference to {name(board.reference)}, after Holm's correction")
    if board.standing_out():
        said.append(f"{MARK} surely different from {name(board.reference)}; bold: surely the best")
    return said


def p_value(p: float) -> str:
    """Write a p-value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def sentence(comparison: Comparison, items_name: str) -> str:
    """Return the result of a comparison over so many images or clips as a sentence."""
    found = comparison.better_first
    one, other = name(found.one), name(found.other)
    if found.distinct:
        return f"{one} is better than {other}: {evidence(found, items_name)}"
    return f"{one} and {other} are {alike(found)}: {evidence(found, items_name)}"


def alike(found: Comparison) -> str:
    """Tell that two runs can't be told apart, and when it is the number of comparisons."""
    alone = found.low > 0 or found.high < 0
    return "not distinguishable" + (" after the correction" if alone else "")


def evidence(found: Comparison, items_name: str) -> str:
    """Write the numbers behind a comparison."""
    unit = found.column.unit
    p = p_value(found.corrected)
    p = f"p {p}" if p.startswith("<") else f"p = {p}"
    wins = "" if found.wins is None else f", ahead on {found.wins:.0f} % of them"
    return (
        f"{found.column.label} {difference(found.difference, unit)}"
        f" [{difference(found.low, unit)}, {difference(found.high, unit)}]"
        f" over {found.items:,} {items_name}{wins}, {p}"
    )
