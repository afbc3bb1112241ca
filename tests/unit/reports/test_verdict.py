"""Verdicts on planted leagues: who wins, what is a tie, and how often a rank's band is right."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench.bootstrap import holm, paired_mean
from vitbench.records import Record, write_record
from vitbench.reports import formats, verdict_text
from vitbench.reports.families import BY_PROTOCOL, family
from vitbench.reports.leaderboard import Comparison, Leaderboard, build_leaderboards
from vitbench.reports.table import Table, build_table
from vitbench.reports.verdict import Tally, Verdict, judge
from vitbench_protocols import PROTOCOLS, SCORERS

MakeRecord = Callable[..., Record]
Values = NDArray[np.float64]
Items = Mapping[str, Values]  # by run: the score of each item, (n,)
KNN = {"name": "knn"}
CLIPS = {"kind": "clips", "name": "davis", "item_noun": "clips"}


def board_of(make_record: MakeRecord, protocol: str, items: Items, **data: object) -> Leaderboard:
    """Return a board without comparisons whose runs score the mean of their items."""
    count = len(next(iter(items.values())))
    data = {"items": count, "fingerprint": protocol * 8, **data}
    records = [
        make_record(
            name,
            float(values.mean()),
            protocol={"name": protocol, "spec_id": protocol},
            data=data,
            subject={"method": "random"} if name == "floor" else {},
        )
        for name, values in items.items()
    ]
    (board,) = build_leaderboards(records)
    return board


def with_tests(boards: Sequence[Leaderboard], items: Sequence[Items]) -> list[Leaderboard]:
    """Compare all pairs of runs of all boards, corrected together."""
    found: list[list[Comparison]] = []
    for board, values in zip(boards, items, strict=True):
        names, column = list(values), board.primary
        assert column is not None
        found.append([])
        for place, one in enumerate(names):
            for other in names[place + 1 :]:
                gap = paired_mean(values[one], values[other], seed=1)
                if gap is not None:
                    told = (gap.value, gap.low, gap.high, gap.p, gap.p, gap.items, gap.wins)
                    found[-1].append(Comparison(one, other, column, *told))
    corrected = iter(holm([one.p for group in found for one in group]))
    return [
        replace(board, comparisons=tuple(replace(c, corrected=next(corrected)) for c in group))
        for board, group in zip(boards, found, strict=True)
    ]


def decide(make_record: MakeRecord, league: Mapping[str, Items]) -> Verdict:
    """Judge boards, by protocol."""
    boards = [board_of(make_record, protocol, items) for protocol, items in league.items()]
    found = judge(with_tests(boards, list(league.values())))
    assert found is not None
    return found


def right_or_wrong(generator: np.random.Generator, share: float, hard: Values) -> Values:
    """Draw answers to the same questions: hard ones are missed by all."""
    noise = generator.normal(0, 0.6, len(hard))
    return np.where(hard + noise < share, 100.0, 0.0)


# 500 leagues of 3 runs on 3 boards: two of images that are right or wrong, one of few clips.
# True skills are drawn with exact ties among them, as between near-equal checkpoints.
def test_the_band_of_a_mean_rank_holds_the_true_one_95_times_in_100(
    make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitbench.bootstrap.RESAMPLES", 1_000)
    runs, leagues, sizes = ("a", "b", "c"), 500, (300, 150, 12)
    generator = np.random.default_rng(7)
    patterns = [board_of(make_record, f"p{n}", {run: np.ones(4) for run in runs}) for n in range(3)]
    held, whole, width, sure = 0, 0, 0.0, 0
    for _ in range(leagues):
        skills = generator.choice([0.0, 0.0, 0.3, 0.6, 1.2], size=(3, 3))
        league: list[Items] = []
        for skill, size in zip(skills, sizes, strict=True):
            hard = generator.normal(size=size)
            if size > 100:
                drawn = [right_or_wrong(generator, value, hard) for value in skill]
            else:
                drawn = [50 + 9 * hard + 8 * s + generator.normal(0, 3, size) for s in skill]
            league.append(dict(zip(runs, drawn, strict=True)))
        boards = [
            replace(
                pattern,
                entries=tuple(
                    replace(
                        entry,
                        scores={
                            metric: replace(score, value=float(items[entry.name].mean()))
                            for metric, score in entry.scores.items()
                        },
                    )
                    for entry in pattern.entries
                ),
            )
            for pattern, items in zip(patterns, league, strict=True)
        ]
        verdict = judge(with_tests(boards, league))
        assert verdict is not None
        truth = [[1 + sum(row > own) for own in row] for row in skills]
        true_rank = dict(zip(runs, np.mean(truth, axis=0), strict=True))
        bands = {one.name: one.rank for one in verdict.overall.standings}
        inside = [
            band is not None and band.low <= true_rank[run] <= band.high
            for run, band in bands.items()
        ]
        held += sum(inside)
        whole += all(inside)
        width += sum(band.high - band.low for band in bands.values() if band) / len(bands)
        sure += any(c.distinct for board in verdict.overall.boards for c in board.comparisons)
    assert held / (3 * leagues) >= 0.95
    assert whole / leagues >= 0.95  # of all three bands at once
    assert width / leagues < 1.6  # of at most 2: the bands do tell something
    assert sure / leagues > 0.95


def planted(skill: Mapping[str, float], size: int = 400, seed: int = 0) -> Items:
    generator = np.random.default_rng(seed)
    hard = generator.normal(size=size)
    return {run: right_or_wrong(generator, share, hard) for run, share in skill.items()}


def test_a_planted_winner_is_found(make_record: MakeRecord) -> None:
    skills = {"mid": 0.0, "winner": 1.0, "last": -0.8}
    verdict = decide(make_record, {"knn": planted(skills), "segmentation": planted(skills, seed=1)})
    assert verdict.overall.winner == "winner"
    assert [one.name for one in verdict.overall.standings] == ["winner", "mid", "last"]
    first = verdict.overall.standings[0]
    assert first.rank is not None
    assert (first.rank.low, first.rank.high) == (1, 1)
    assert (first.tally.wins, first.tally.ties, first.tally.losses) == (4, 0, 0)
    told = {one.of: one.said for one in verdict_text.headlines(verdict)}
    assert told == dict.fromkeys(("all protocols", "image-level", "dense"), "winner wins, sure")


def test_a_winner_s_reason_counts_sure_differences_alone(make_record: MakeRecord) -> None:
    leagues = {
        "knn": planted({"one": 0.9, "other": 0.0}),
        "segmentation": planted({"one": 0.0, "other": 0.0}, seed=3),
    }
    (everything, image, dense) = verdict_text.headlines(decide(make_record, leagues))
    assert everything.said == "one wins, sure"
    assert everything.why == "surely better than other on 1 of 2 boards, nowhere surely worse"
    assert image.why == "surely better than other on knn on shapes, nowhere surely worse"
    assert not dense.sure


def test_a_planted_tie_is_called_a_tie(make_record: MakeRecord) -> None:
    verdict = decide(make_record, {"knn": planted({"one": 0.4, "twin": 0.4, "behind": -0.8})})
    assert verdict.overall.winner == ""
    ((said, why, _, _),) = verdict_text.headlines(verdict)
    assert said.startswith("can't tell: ")
    assert {"one", "twin"} <= {*said.replace("can't tell: ", "").split(" and ")}
    assert "behind is behind" in why
    ranks = [one.rank for one in verdict.overall.standings if one.name != "behind"]
    assert all(rank is not None and (rank.low, rank.high) == (1, 2) for rank in ranks)


def test_boards_that_rank_two_runs_the_other_way_round_are_named(make_record: MakeRecord) -> None:
    league = {
        "knn": planted({"global": 0.9, "local": 0.0}),
        "segmentation": planted({"global": 0.0, "local": 0.9}, seed=3),
    }
    verdict = decide(make_record, league)
    (said, why, _, _), image, dense = verdict_text.headlines(verdict)
    assert said.startswith("can't tell")
    assert "global is better on knn on shapes, local on segmentation on shapes" in why
    assert (image.said, dense.said) == ("global wins, sure", "local wins, sure")


def test_a_floor_is_a_line_of_reference_and_no_contestant(make_record: MakeRecord) -> None:
    verdict = decide(make_record, {"knn": planted({"one": 0.5, "two": -2.0, "floor": -2.0})})
    assert {one.name for one in verdict.overall.standings} == {"one", "two"}
    assert verdict.overall.floors == {"one": Tally(wins=1), "two": Tally(ties=1)}
    heads, rows = verdict_text.table(verdict)
    assert heads[-1] == "above the floor"
    assert [row[-1] for row in rows] == ["1 of 1", "0 of 1"]


def test_a_winner_is_above_the_floor_somewhere_and_nowhere_below_it(
    make_record: MakeRecord,
) -> None:
    knn = planted({"one": 0.9, "two": 0.0, "floor": -2.0})
    near = planted({"one": 0.0, "two": 0.0, "floor": 0.0}, seed=4)
    far = planted({"one": 0.0, "two": 0.0, "floor": 1.5}, seed=5)
    tie = verdict_text.headlines(decide(make_record, {"knn": knn, "segmentation": near}))[0]
    assert (tie.said, tie.sure) == ("one wins, sure", True)
    assert tie.why.endswith("; above the floor on 1 of 2 boards")
    loss = verdict_text.headlines(decide(make_record, {"knn": knn, "segmentation": far}))[0]
    assert (loss.said.endswith("not surely above the floor"), loss.sure) == (True, False)
    assert loss.why == "surely above the floor on 1 of 2 boards, below it on 1"
    none = planted({"one": 0.9, "two": 0.0, "floor": 0.9}, seed=6)
    (level,) = verdict_text.headlines(decide(make_record, {"knn": none}))
    assert level.why == "surely above the floor on 0 of 1 board"


def test_one_clip_can_not_tell(make_record: MakeRecord) -> None:
    clip = {"one": np.array([80.0]), "two": np.array([20.0])}
    board = board_of(make_record, "davis", clip, kind="clips", item_noun="clips")
    verdict = judge([board])
    assert verdict is not None
    assert verdict_text.headlines(verdict) == [("can't tell", "1 clip: can't tell", False, "video")]


def test_every_bundled_protocol_has_a_family() -> None:
    assert {*PROTOCOLS, *SCORERS} <= {*BY_PROTOCOL}


@pytest.mark.parametrize(
    ("settings", "preset", "expected"),
    [
        ({"method": {"kind": "DenseKnn"}}, "knn", "dense"),
        ({"method": {"kind": "FineTune"}}, "", "fine-tuned"),
        ({}, "semfpn-40k", "fine-tuned"),
    ],
)
def test_segmentation_that_trains_the_backbone_is_of_another_family(
    make_record: MakeRecord, settings: dict[str, object], preset: str, expected: str
) -> None:
    told = {"name": "segmentation", "settings": settings, "preset": preset}
    (board,) = build_leaderboards([make_record(protocol=told)])
    assert family(board) == expected


def test_what_describes_or_costs_is_no_contest(make_record: MakeRecord) -> None:
    items = planted({"one": 0.5, "two": 0.0})
    assert judge([board_of(make_record, name, items) for name in ("health", "profile")]) is None


def test_ranks_are_means_over_the_boards_that_the_runs_share(make_record: MakeRecord) -> None:
    league = {
        "knn": planted({"a": 1.0, "b": 0.0, "c": -1.0}),
        "segmentation": planted({"a": 1.0, "b": 0.0, "c": -1.0}, seed=1),
        "retrieval": planted({"c": 1.0, "guest": 0.0}, seed=2),
    }
    verdict = decide(make_record, league)
    assert verdict.overall.shared == 2
    assert {one.name for one in verdict.overall.standings if one.rank} == {"a", "b", "c"}


def keep(folder: Path, make_record: MakeRecord, items: Items) -> list[Record]:
    """Write records with their items, and return them."""
    ids = np.array([f"{n}.png" for n in range(len(next(iter(items.values()))))])
    records = []
    for name, values in items.items():
        record = make_record(name, float(values.mean()))
        record = replace(record, items=f"{name}.{record.id[:8]}.items.npz")
        write_record(record, folder, {"ids": ids, "top1_k20": values})
        records.append(record)
    return records


def report(folder: Path, make_record: MakeRecord, items: Items, **choice: str) -> Table:
    return build_table(keep(folder, make_record, items), folder=folder, **choice)  # type: ignore[arg-type]


def test_all_runs_are_held_against_the_one_that_is_chosen(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    items = planted({"mid": 0.0, "winner": 1.0, "last": -1.0, "twin": 0.0})
    table = report(tmp_path, make_record, items, against="mid")
    (board,) = table.boards
    assert board.reference == "mid"
    assert {frozenset((one.one, one.other)) for one in board.comparisons} == {
        frozenset(("mid", other)) for other in ("winner", "last", "twin")
    }
    assert table.verdict is not None
    ((said, why, _, _),) = verdict_text.headlines(table.verdict)
    assert said == "winner above mid, sure"
    assert why == "last below; twin: can't tell; knn on shapes"


@pytest.mark.parametrize("form", [formats.markdown, formats.latex])
def test_the_verdict_stands_on_top(
    make_record: MakeRecord, tmp_path: Path, form: Callable[[Table], str]
) -> None:
    text = form(report(tmp_path, make_record, planted({"first": 1.0, "second": 0.0})))
    assert text.index("first wins, sure") < text.index("top-1")
    assert "&lt; 0.001 |" in text or r"\textless{} 0.001" in text
