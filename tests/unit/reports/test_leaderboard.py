from collections.abc import Callable

from vitbench.records import Record
from vitbench.reports.leaderboard import build_leaderboards

MakeRecord = Callable[..., Record]


def test_equal_settings_and_data_share_a_board_best_first(make_record: MakeRecord) -> None:
    (board,) = build_leaderboards([make_record("worse", 50.0), make_record("better", 90.0)])
    assert [entry.name for entry in board.ranked()] == ["better", "worse"]


def test_another_spec_never_shares_a_column_and_the_setting_is_named(
    make_record: MakeRecord,
) -> None:
    one = make_record("one")
    other = make_record(
        "other", protocol={"spec_id": "t" * 64, "settings": {"k": 10, "temperature": 0.07}}
    )
    first, second = build_leaderboards([one, other])
    assert first.why_incomparable == ()
    assert second.why_incomparable == ("k: 10 instead of 20",)


def test_other_data_of_the_same_name_never_share_a_column(make_record: MakeRecord) -> None:
    boards = build_leaderboards([make_record(), make_record(data={"fingerprint": "0" * 64})])
    assert len(boards) == 2
    assert boards[1].why_incomparable == ("data fingerprint: 00000000 instead of ffffffff",)


def test_namesakes_are_told_apart_by_what_differs(make_record: MakeRecord) -> None:
    (board,) = build_leaderboards([make_record(seed=0), make_record(seed=1)])
    assert [entry.name for entry in board.entries] == ["small (seed 0)", "small (seed 1)"]


def test_a_score_that_is_not_finite_counts_as_absent_and_ranks_last(
    make_record: MakeRecord,
) -> None:
    (board,) = build_leaderboards([make_record("nan", float("nan")), make_record("fine", 1.0)])
    assert [entry.name for entry in board.ranked()] == ["fine", "nan"]
    assert board.entries[0].value("top1_k20") is None


def test_a_run_that_failed_before_it_read_data_is_on_no_board(make_record: MakeRecord) -> None:
    assert build_leaderboards([make_record(dataset=None)]) == ()


def test_boards_of_one_protocol_on_the_same_data_are_told_apart(make_record: MakeRecord) -> None:
    def board(spec: str, method: dict[str, object]) -> Record:
        told = {"spec_id": spec * 64, "preset": "", "settings": {"flip": False, "method": method}}
        return make_record(spec, protocol=told)

    knn, dense = board("a", {"kind": "Knn", "k": 30}), board("b", {"kind": "Hummingbird", "k": 20})
    wider = board("c", {"kind": "Knn", "k": 50})
    assert [one.variant for one in build_leaderboards([knn])] == [""]
    two = build_leaderboards([knn, dense])
    assert [one.variant for one in two] == ["method Knn", "method Hummingbird"]
    assert "method Hummingbird · " in two[1].title
    assert two[1].why_incomparable == ("method: 'Hummingbird' instead of 'Knn'",)
    assert [one.variant for one in build_leaderboards([knn, wider])] == [
        "method.k 30",
        "method.k 50",
    ]
    named = make_record(protocol={"spec_id": "d" * 64, "preset": "dino", "settings": {}})
    assert [one.variant for one in build_leaderboards([knn, named])][1] == "dino"


def test_a_time_is_told_over_passes_not_over_images(make_record: MakeRecord) -> None:
    named = {"profile": "timed passes", "knn": "images"}
    for protocol, noun in named.items():
        (board,) = build_leaderboards([make_record(protocol={"name": protocol})])
        assert board.items_name == noun
