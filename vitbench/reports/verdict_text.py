"""A verdict in words and as the cells of a table."""

from collections.abc import Sequence
from typing import NamedTuple

from vitbench.reports.families import Family
from vitbench.reports.format_scores import ABSENT, name
from vitbench.reports.leaderboard import LEVEL
from vitbench.reports.verdict import Band, Disagreement, League, Standing, Tally, Verdict, short

SURE = "sure"
MANY = 4  # names in a sentence
TOLD = 5  # disagreements that are told


class Answer(NamedTuple):
    """Who wins on some boards."""

    said: str
    why: str
    sure: bool  # whether it stands after the correction for all comparisons
    of: str = ""  # the family of the boards


def headlines(verdict: Verdict) -> list[Answer]:
    """Say for all protocols together and for each family who wins, or can't be told apart."""
    families = list(verdict.families.items())
    parts: list[tuple[str, League]] = [("all protocols", verdict.overall)] if families[1:] else []
    parts += families
    return [answer(verdict, part)._replace(of=label) for label, part in parts]


def answer(verdict: Verdict, league: League) -> Answer:
    """Say who wins on some boards, whether that is sure, and what it rests on."""
    if not league.tested:
        titles = {board.title for board in league.boards}
        reasons = {text for title, text in verdict.undecidable.items() if title in titles}
        told = "; ".join(sorted(reasons)) or "no two runs were compared"
        return Answer("can't tell", told, False)
    if verdict.against:
        return _against(verdict, league)
    leaders = league.leaders
    behind = [one.name for one in league.standings if one.name not in leaders]
    if league.winner:
        return _of_winner(league, behind)
    rest = f"; {_names(behind)} {'is' if len(behind) == 1 else 'are'} behind" if behind else ""
    if len(leaders) > 1:
        said = _disagree(verdict, leaders) or f"no difference is sure on {_where(league)}"
        return Answer(f"can't tell: {_names(leaders)}", f"{said}{rest}", False)
    if leaders:
        near = [run for run in behind if run not in league.ahead[leaders[0]]]
        why = f"nobody is ahead of it, but it is not surely ahead of {_names(near)}"
        return Answer(f"{name(leaders[0])} leads, not surely", why, False)
    why = "each run is surely behind another one somewhere"
    return Answer("can't tell: the protocols disagree", why, False)


def _of_winner(league: League, behind: Sequence[str]) -> Answer:
    winner = league.winner
    floor = league.floors.get(winner, Tally())
    above = f"above the floor on {floor.wins} of {floor.of} board{'s' if floor.of > 1 else ''}"
    if floor.losses or (floor.of and not floor.wins):
        said = f"{name(winner)} is ahead of the others, but not surely above the floor"
        below = f", below it on {floor.losses}" if floor.losses else ""
        return Answer(said, f"{SURE}ly {above}{below}", False)
    tally = next(one.tally for one in league.standings if one.name == winner)
    counted = f"{tally.wins} of {tally.of}"
    where = f"on {counted} boards" if len(behind) == 1 else f"in {counted} comparisons"
    where = where if tally.of > 1 else f"on {_where(league)}"
    why = f"{SURE}ly better than {_names(behind)} {where}, nowhere {SURE}ly worse"
    why += f"; {above}" if floor.of else ""
    return Answer(f"{name(winner)} wins, {SURE}", why, True)


def _against(verdict: Verdict, league: League) -> Answer:
    held = verdict.against
    others = [one for one in league.standings if one.name != held]
    above = [one.name for one in others if one.tally.wins and not one.tally.losses]
    below = [one.name for one in others if one.tally.losses and not one.tally.wins]
    open_ = [one.name for one in others if one.name not in (*above, *below)]
    parts = [f"{_names(below)} below"] if below else []
    parts += [f"{_names(open_)}: can't tell"] if open_ else []
    why = "; ".join([*parts, _where(league)])
    if above:
        return Answer(f"{_names(above)} above {name(held)}, {SURE}", why, True)
    return Answer(f"nobody is surely above {name(held)}", why, False)


def _disagree(verdict: Verdict, leaders: Sequence[str]) -> str:
    found = [one for one in verdict.disagreements if {one.one, one.other} <= {*leaders}]
    return "; ".join(map(disagreement, found[:TOLD]))


def disagreement(found: Disagreement) -> str:
    """Say on which boards two runs change places."""
    return (
        f"{name(found.one)} is better on {', '.join(found.better)},"
        f" {name(found.other)} on {', '.join(found.worse)}"
    )


def _where(league: League) -> str:
    boards = list(dict.fromkeys(map(short, league.boards)))
    return boards[0] if len(boards) == 1 else f"{len(league.boards)} boards"


def _names(runs: Sequence[str]) -> str:
    shown = [name(run) for run in runs[:MANY]]
    if len(runs) > MANY:
        return f"{', '.join(shown)} and {len(runs) - MANY} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def remarks(verdict: Verdict) -> list[str]:
    """Return disagreements, what can't be told, and how the verdict is made."""
    said = [f"rankings disagree: {disagreement(one)}" for one in verdict.disagreements[:TOLD]]
    said += [f"{title}: {why}" for title, why in verdict.undecidable.items()]
    return [*said, method(verdict)]


def method(verdict: Verdict) -> str:
    """Explain what "sure" means and how the bands are made."""
    tests = f"{verdict.comparisons} paired comparison{'s' if verdict.comparisons != 1 else ''}"
    text = (
        f"sure: p < {LEVEL:g} after Holm's correction over {tests} (bootstrap over the items);"
        " wins and losses are sure differences, ties are the others"
    )
    if verdict.against:
        return text
    shared = verdict.overall.shared
    return (
        f"{text}; mean rank over {shared} shared board{'s' if shared != 1 else ''}, in brackets the"
        " band that holds the true one with 95 %"
    )


HEADS = ("checkpoint", "mean rank", "wins", "ties", "losses")


def table(verdict: Verdict) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of the verdict's table, the best run on top."""
    families: list[Family] = list(verdict.families) if len(verdict.families) > 1 else []
    ranked = any(one.rank for one in verdict.overall.standings)
    floors = bool(verdict.overall.floors)
    heads = [head for head in HEADS if ranked or head != "mean rank"]
    rows = []
    for one in verdict.overall.standings:
        tally = one.tally
        row = [name(one.name), *([_band(one.rank)] if ranked else [])]
        row += [str(count) for count in (tally.wins, tally.ties, tally.losses)]
        row += [in_family(verdict.families[kind], one.name) for kind in families]
        floor = verdict.overall.floors.get(one.name, Tally())
        row += [f"{floor.wins} of {floor.of}" if floor.of else ABSENT] if floors else []
        rows.append(row)
    return [*heads, *families, *(["above the floor"] if floors else [])], rows


def in_family(league: League, run: str) -> str:
    """Write a run's rank in a family, else on how many of its boards the run stands."""
    found: Standing | None = next((one for one in league.standings if one.name == run), None)
    if found is None:
        return ABSENT
    if found.rank is not None:
        return _band(found.rank)
    return f"on {found.boards} of {len(league.boards)}"


def _band(band: Band | None) -> str:
    if band is None:
        return ABSENT
    return f"{band.mean:.3g} [{band.low:.3g}, {band.high:.3g}]"
