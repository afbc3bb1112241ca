"""Who wins where, and how sure that is: the paired comparisons of all boards put together.

A run's rank on a board lies between 1 + the runs that are certainly better and the number of runs
- those that are certainly worse. The comparisons are corrected together (Holm), so all these bands
hold at once with 95 %, and so do their means over boards.

Source:
    Mogstad, Romano, Shaikh and Wilhelm, Inference for Ranks, Review of Economic Studies 2024,
    section 3: confidence sets of ranks from simultaneous comparisons of pairs.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from vitbench.reports.families import FAMILIES, JUDGED, Family, family, is_contestant
from vitbench.reports.leaderboard import Entry, Leaderboard


@dataclass(frozen=True, slots=True)
class Band:
    """A mean rank over boards, and between which ranks the true one lies."""

    mean: float  # by the scores as they are; equal ones share a rank
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether only one rank is possible."""
        return self.low == self.high


@dataclass(frozen=True, slots=True)
class Tally:
    """How often a run was certainly better, indistinguishable and certainly worse."""

    wins: int = 0
    ties: int = 0
    losses: int = 0

    @property
    def of(self) -> int:
        """All of them."""
        return self.wins + self.ties + self.losses

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.wins + other.wins, self.ties + other.ties, self.losses + other.losses)


@dataclass(frozen=True, slots=True)
class Standing:
    """One contestant over several boards."""

    name: str
    tally: Tally
    rank: Band | None  # None: not on every board of the league
    boards: int  # that it stands on


@dataclass(frozen=True, slots=True)
class League:
    """The contestants on some boards, the best on top."""

    boards: tuple[Leaderboard, ...]
    standings: tuple[Standing, ...]
    shared: int  # boards that the ranks are means over
    ahead: Mapping[str, frozenset[str]]  # by run: whom it beats somewhere, and nowhere loses to
    floors: Mapping[str, Tally]  # by run: how it did against the best floor of each board

    @property
    def leaders(self) -> tuple[str, ...]:
        """The runs that nobody is ahead of."""
        beaten = frozenset[str]().union(*self.ahead.values())
        return tuple(one.name for one in self.standings if one.name not in beaten)

    @property
    def winner(self) -> str:
        """The run that is ahead of every other one; empty where nobody is."""
        others = len(self.standings) - 1
        sure = (name for name, behind in self.ahead.items() if 0 < others == len(behind))
        return next(sure, "")

    @property
    def tested(self) -> bool:
        """Whether any two contestants could be compared."""
        return any(one.tally != Tally() for one in self.standings)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two runs of which each is certainly better somewhere."""

    one: str
    other: str
    better: tuple[str, ...]  # titles of boards where the one is better
    worse: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the runs of a report decide."""

    overall: League
    families: Mapping[Family, League]  # those with boards, in their order
    disagreements: tuple[Disagreement, ...]
    undecidable: Mapping[str, str]  # title of a board -> why nothing can be told on it
    against: str  # the run that all others were compared with; empty: all pairs were
    comparisons: int


def judge(boards: Sequence[Leaderboard], *, against: bool = False) -> Verdict | None:
    """Put the comparisons of all boards together; None where nothing can be compared.

    Args:
        boards: With their comparisons.
        against: Whether all runs were compared with each board's reference alone.
    """
    held = next((board.reference for board in boards if board.reference), "") if against else ""
    playing = [board for board in boards if family(board) in JUDGED and len(names(board)) > 1]
    contestants = _contestants(playing) | ({held} if held else set())
    playing = [board for board in playing if len(contestants & set(names(board))) > 1]
    if len(contestants) < 2 or not any(b.comparisons or b.dataset.items == 1 for b in playing):
        return None
    by_family = {kind: [board for board in playing if family(board) == kind] for kind in FAMILIES}
    return Verdict(
        overall=league(playing, contestants, ranked=not against),
        families={
            kind: league(some, contestants, ranked=not against)
            for kind, some in by_family.items()
            if some
        },
        disagreements=tuple(_disagreements(playing, contestants)),
        undecidable={board.title: why for board in playing if (why := undecided(board))},
        against=held,
        comparisons=sum(len(board.comparisons) for board in boards),
    )


def names(board: Leaderboard) -> list[str]:
    """Name the contestants of a board that have its primary score, the best first."""
    column = board.primary
    return [
        entry.name
        for entry in board.ranked()
        if column and is_contestant(entry) and entry.value(column.metric) is not None
    ]


def _contestants(boards: Iterable[Leaderboard]) -> set[str]:
    """Name the runs that a verdict is about: those that were compared, else all."""
    boards = list(boards)
    compared = {name for b in boards for one in b.comparisons for name in (one.one, one.other)}
    every = {name for board in boards for name in names(board)}
    return every & compared if compared else every


def league(boards: Sequence[Leaderboard], contestants: set[str], *, ranked: bool) -> League:
    """Count who beats whom on some boards, and form the ranks' means and bands."""
    there = [[name for name in names(board) if name in contestants] for board in boards]
    if any(board.comparisons for board in boards):  # what can't tell anything takes no part
        told = [place for place, board in enumerate(boards) if board.comparisons]
        boards, there = [boards[place] for place in told], [there[place] for place in told]
    runs = list(dict.fromkeys(name for group in there for name in group))
    duels = _duels(boards, contestants)
    tallies = {
        run: sum((duel for (one, _), duel in duels.items() if one == run), Tally()) for run in runs
    }
    ahead = {
        run: frozenset(o for (one, o), d in duels.items() if one == run and d.wins and not d.losses)
        for run in runs
    }
    shared, complete = _shared(there) if ranked else (set[int](), set[str]())
    bands = {
        run: _mean([_band(boards[place], run, complete) for place in sorted(shared)])
        for run in complete
    }
    standings = [
        Standing(run, tallies[run], bands.get(run), sum(run in group for group in there))
        for run in runs
    ]
    ordered = tuple(sorted(standings, key=_order))
    floors = _against_floors(boards, contestants)
    return League(tuple(boards), ordered, len(shared), ahead, floors)


def _order(one: Standing) -> tuple[float, ...]:
    """Sort by the middle of the band, then by the rank itself, then by wins less losses."""
    balance = one.tally.losses - one.tally.wins
    if one.rank is None:
        return (1, balance, 0)
    return (0, one.rank.low + one.rank.high, one.rank.mean)


def _duels(boards: Sequence[Leaderboard], contestants: set[str]) -> dict[tuple[str, str], Tally]:
    """Count wins, ties and losses of each run over each other one."""
    found: dict[tuple[str, str], Tally] = {}
    for board in boards:
        for comparison in board.comparisons:
            best = comparison.better_first
            if not {best.one, best.other} <= contestants:
                continue
            win, loss = (Tally(1), Tally(0, 0, 1)) if best.distinct else (Tally(0, 1),) * 2
            for pair, result in (((best.one, best.other), win), ((best.other, best.one), loss)):
                found[pair] = found.get(pair, Tally()) + result
    return found


def _shared(there: Sequence[Sequence[str]]) -> tuple[set[int], set[str]]:
    """Choose boards and runs so that all these runs stand on all these boards, as many as can be.

    Every run's boards, and those that two runs share, are tried.
    """
    on: dict[str, set[int]] = {}
    for place, group in enumerate(there):
        for name in group:
            on.setdefault(name, set()).add(place)
    tried = [one & other for one, other in combinations(on.values(), 2)]
    best: tuple[set[int], set[str]] = (set(), set())
    for places in tried:
        runs = {name for name, own in on.items() if places <= own}
        if len(places) * len(runs) > len(best[0]) * len(best[1]):
            best = (places, runs)
    return best


def _band(board: Leaderboard, run: str, runs: set[str]) -> Band:
    """Return the rank of a run among some on a board."""
    column = board.primary
    assert column is not None
    sign = 1.0 if column.higher_is_better else -1.0
    values = {
        entry.name: sign * value
        for entry in board.entries
        if entry.name in runs and (value := entry.value(column.metric)) is not None
    }
    own = values[run]
    others = [value for name, value in values.items() if name != run]
    rank = 1 + sum(value > own for value in others) + sum(value == own for value in others) / 2
    sure = [one.better_first for one in board.comparisons if one.distinct]
    better = sum(one.other == run and one.one in runs for one in sure)
    worse = sum(one.one == run and one.other in runs for one in sure)
    return Band(rank, 1 + better, len(runs) - worse)


def _mean(bands: Sequence[Band]) -> Band:
    count = len(bands)
    return Band(
        sum(band.mean for band in bands) / count,
        sum(band.low for band in bands) / count,
        sum(band.high for band in bands) / count,
    )


def _disagreements(boards: Sequence[Leaderboard], contestants: set[str]) -> Iterable[Disagreement]:
    """Find pairs of runs that two boards rank the other way round, each of them surely."""
    won: dict[tuple[str, str], list[str]] = {}
    for board in boards:
        for comparison in board.comparisons:
            best = comparison.better_first
            if best.distinct and {best.one, best.other} <= contestants:
                won.setdefault((best.one, best.other), []).append(short(board))
    for (one, other), better in won.items():
        if one < other and (worse := won.get((other, one))):
            yield Disagreement(one, other, tuple(better), tuple(worse))


def short(board: Leaderboard) -> str:
    """Name a board by its protocol, and its data where they are called otherwise."""
    protocol, data = board.protocol.name, board.dataset.name
    return protocol if data.casefold() == protocol.casefold() else f"{protocol} on {data}"


def undecided(board: Leaderboard) -> str:
    """Return why nothing can be told on a board; empty where something can."""
    if board.comparisons:
        return ""
    if board.dataset.items == 1:
        return f"1 {board.items_name.removesuffix('s')}: can't tell"
    return f"no scores of single {board.items_name} were kept: can't tell"


def _against_floors(boards: Sequence[Leaderboard], contestants: set[str]) -> dict[str, Tally]:
    """Count on how many boards each run beats the floors it was held against, or one beats it."""
    found: dict[str, Tally] = {}
    for board in boards:
        playing: dict[str, Entry] = {entry.name: entry for entry in board.entries}
        duels: dict[str, list[str]] = {}  # by run: who is surely better, run or floor, or nobody
        for comparison in board.comparisons:
            best = comparison.better_first
            for run, other in ((best.one, best.other), (best.other, best.one)):
                if run in contestants and not is_contestant(playing[other]):
                    duels.setdefault(run, []).append(best.one if best.distinct else "")
        for run, better in duels.items():
            lost = any(name not in {run, ""} for name in better)
            one = Tally(1) if {*better} == {run} else Tally(0, 0, 1) if lost else Tally(0, 1)
            found[run] = found.get(run, Tally()) + one
    return found
