"""Numbers and sources as people read them; the only place where numbers are rounded."""

from vitbench.records import Unit
from vitbench.reports import clean
from vitbench.reports.boards import Board, Column, Comparison, Line

ABSENT = "—"
DIGITS = {"%": 1, "count": 2, "px": 1, "s": 1, "": 3}
HUGE = 1e7
MARK = "*"


def name(text: str) -> str:
    """Shorten the name of a subject."""
    return clean.plain(text, clean.NAME)


def number(value: float | None, unit: Unit) -> str:
    """Write a number with the digits of its unit; a huge one in powers of ten."""
    if value is None:
        return ABSENT
    if abs(value) >= HUGE:
        return f"{value:.3g}"
    return f"{round(value, DIGITS[unit]) + 0.0:.{DIGITS[unit]}f}"


def interval(line: Line, column: Column) -> str:
    """Write the 95 % interval of a score, empty where it has none."""
    score = line.scores.get(column.metric)
    if score is None or score.low is None or score.high is None:
        return ""
    return f"[{number(score.low, column.unit)}, {number(score.high, column.unit)}]"


def cell(board: Board, line: Line, column: Column) -> str:
    """Write a score; the primary one with its interval, and a mark where it stands out."""
    value = number(line.value(column.metric), column.unit)
    if not column.primary:
        return value
    mark = MARK if board.differs(line) else ""
    return f"{value}{mark} {interval(line, column)}".strip()


def gap(board: Board, line: Line) -> str:
    """Write how far a run lies from the printed value of its method; empty where none is known."""
    column, printed = board.primary, board.printed_for(line)
    if column is None or printed is None:
        return ""
    value, other = line.value(column.metric), printed.value(column.metric)
    if value is None or other is None:
        return ""
    return (
        f"{value - other:+.{DIGITS[column.unit]}f} to {printed.record.citation.partition(',')[0]}"
    )


def apart(board: Board) -> str:
    """Say what keeps a board from the first of its protocol; empty where nothing does."""
    return "not comparable with the first: " + "; ".join(board.apart) if board.apart else ""


def remarks(board: Board) -> list[str]:
    """Say all that a reader must know of a board beside its numbers."""
    return [text for text in (apart(board), *notes(board)) if text]


def notes(board: Board) -> list[str]:
    """Say what else there is to know of the lines of a board."""
    said = []
    presets = {line.record.protocol.preset for line in board.lines if line.published}
    if len(presets) > 1:
        said.append("printed as one column; their presets here: " + ", ".join(sorted(presets)))
    if any(board.differs(line) for line in board.lines):
        said.append(f"{MARK} distinguishable from {name(board.comparisons[0].one)}")
    return said


def sentence(comparison: Comparison, items_name: str) -> str:
    """Say what a comparison of so many images or clips found."""
    found = comparison.better_first
    one, other = name(found.one), name(found.other)
    if found.distinct:
        return f"{one} is better than {other}: {evidence(found, items_name)}"
    return f"{one} and {other} are {alike(found)}: {evidence(found, items_name)}"


def alike(found: Comparison) -> str:
    """Say that two runs can't be told apart, and when it is the number of comparisons."""
    alone = found.low > 0 or found.high < 0
    return "not distinguishable" + (" after the correction" if alone else "")


def evidence(found: Comparison, items_name: str) -> str:
    """Write the numbers behind a comparison."""
    digits = DIGITS[found.column.unit] + 1  # differences are small
    p = "p < 0.001" if found.corrected < 0.001 else f"p = {found.corrected:.3f}"
    wins = "" if found.wins is None else f", ahead on {found.wins:.0f} % of them"
    return (
        f"{found.column.label} {found.difference:+.{digits}f}"
        f" [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"
        f" over {found.items:,} {items_name}{wins}, {p}"
    )
