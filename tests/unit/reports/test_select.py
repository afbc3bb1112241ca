"""Which rows a word chooses: runs before methods, tables by their number, rows by their id."""

from collections.abc import Callable

import pytest

from vitbench.errors import UnknownName
from vitbench.records import Record
from vitbench.reports.published import published_records, row_id
from vitbench.reports.select import runs_of, select_published
from vitbench.reports.table import Table, build_table

MakeRecord = Callable[..., Record]


def printed(table: Table) -> set[str]:
    return {
        row_id(line.record) for board in table.boards for line in board.entries if line.published
    }


def measured(table: Table) -> set[str]:
    return {line.name for board in table.boards for line in board.entries if not line.published}


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("words", ["table {}", "Table {}", "table{}", "table-{}"])
def test_a_table_is_chosen_by_its_number_and_nothing_else(number: int, words: str) -> None:
    found = select_published(published_records(), (), words.format(number))
    assert {row_id(row).partition("/")[0] for row in found} == {f"table{number}"}
    whole = [row for row in published_records() if row.id.startswith(f"table{number}/")]
    assert len(found) == len(whole)


def test_table_1_of_two_methods_has_their_four_lines() -> None:
    table = build_table([], compare=("dino", "selfpatch"), published="table 1")
    lines = [line for board in table.boards for line in board.entries]
    assert len(lines) == 4
    assert printed(table) == {"table1/dino", "table1/selfpatch"}


def test_a_row_is_chosen_by_its_id_with_or_without_a_comparison(make_record: MakeRecord) -> None:
    assert printed(build_table([], published="table3/selfpatch")) == {"table3/selfpatch"}
    beside = build_table([make_record("mine")], compare=("mine",), published="table3/selfpatch")
    assert printed(beside) == {"table3/selfpatch"}
    assert measured(beside) == {"mine"}
    two = build_table([], published="Table3/SelfPatch table4/dino")
    assert printed(two) == {"table3/selfpatch", "table4/dino"}
    (one,) = select_published(published_records(), (), "table3/selfpatch/davis")
    assert one.primary() is not None
    assert one.primary().value == 57.0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("table 5 vit/8 k=4", {"table5/selfpatch-k4-vit8"}),
        ("table 3 vit-ti esvit", {"table3/esvit"}),
        ("table 4 dino", {"table4/dino", "table4/dino-no-positions"}),
        ("dino-vits16", {"dino-vits16"}),
        ("appendix-g", {"appendix-g/selfpatch-true-positives", "appendix-g/ground-truth"}),
    ],
)
def test_words_choose_by_whole_words(words: str, ids: set[str]) -> None:
    assert {row_id(row) for row in select_published(published_records(), (), words)} == ids


@pytest.mark.parametrize("words", ["table 9", "table 16", "patch16", "6", "ino", "table3/selfpach"])
def test_what_is_no_row_is_refused_and_the_list_is_named(words: str) -> None:
    with pytest.raises(UnknownName, match="vitbench list published"):
        build_table([], published=words)


def test_every_id_is_one_row_and_every_record_has_its_own() -> None:
    ids = [record.id for record in published_records()]
    assert len(ids) == len(set(ids))
    for record in published_records():
        assert record.id.startswith(f"{row_id(record)}/")
        found = select_published(published_records(), (), row_id(record))
        assert {row_id(row) for row in found} == {row_id(record)}


def test_a_run_of_a_methods_name_is_the_run(make_record: MakeRecord) -> None:
    runs = [make_record("dino", subject={"method": "selfpatch"}), make_record("other")]
    table = build_table(runs, compare=("dino", "other"))
    assert measured(table) == {"dino", "other"}
    assert printed(table) == set()
    assert table.hidden == 0
    assert printed(build_table(runs, compare=("dino",), published="table 3")) == {"table3/dino"}


def test_a_method_brings_its_runs_and_its_printed_rows(make_record: MakeRecord) -> None:
    table = build_table([make_record("mine", subject={"method": "dino"})], compare=("DINO",))
    assert measured(table) == {"mine"}
    assert "table3/dino" in printed(table)


@pytest.mark.parametrize("typed", ["Mine", "MINE", "copy", "mine.{id8}", "{id12}"])
def test_a_run_is_found_by_any_of_its_names_and_its_id(make_record: MakeRecord, typed: str) -> None:
    run = make_record("Mine", subject={"aliases": ("copy",)})
    other = make_record("copies", subject={"method": "mine"})
    word = typed.format(id8=run.id[:8], id12=run.id[:12]).replace("mine.", "Mine.")
    assert runs_of([other, run], word) == [run]


def test_exact_case_wins_over_another(make_record: MakeRecord) -> None:
    lower, upper = make_record("dino"), make_record("DINO")
    assert runs_of([upper, lower], "dino") == [lower]
    assert runs_of([upper, lower], "DINO") == [upper]
    assert runs_of([upper, lower], "Dino") == [upper, lower]


def test_a_line_carries_all_names_of_its_subject(make_record: MakeRecord) -> None:
    table = build_table([make_record("first", subject={"aliases": ("mine",)})], compare=("mine",))
    assert measured(table) == {"first = mine"}


def test_an_unknown_name_lists_own_runs_first_and_the_nearest_on_top(
    make_record: MakeRecord,
) -> None:
    runs = [make_record(f"run-{number}") for number in range(3)] + [make_record("zebra")]
    with pytest.raises(UnknownName) as raised:
        build_table(runs, compare=("zebr",))
    assert "Did you mean 'zebra'?" in str(raised.value)
    assert raised.value.expected.startswith("one of zebra, run-0, run-1, run-2, ")
    assert "dino" in raised.value.expected
    with pytest.raises(UnknownName, match=r"^no checkpoint or method 'x"):
        build_table([], compare=("x\x1b[0m",))
