from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench.errors import RecordError
from vitbench.records import Record
from vitbench.reports import formats
from vitbench.reports.table import build_table

MakeRecord = Callable[..., Record]
Items = Mapping[str, NDArray[Any]]
IDS = np.array([f"{number}.png" for number in range(400)])


def planted(real: bool) -> dict[str, Items]:
    """Two runs on 400 images: one right on 320, the other on 260 of those, or on 318 in all."""
    base = 100.0 * (np.arange(400) < 320)
    other = 100.0 * (np.arange(400) < 260)
    if not real:
        other = base.copy()
        other[:5], other[-3:] = 0.0, 100.0
    return {"one": {"ids": IDS, "top1_k20": base}, "other": {"ids": IDS, "top1_k20": other}}


def report(make_record: MakeRecord, items: Mapping[str, Items], *compare: str) -> str:
    records = [
        make_record(name, float(items[name]["top1_k20"].mean()), items=f"{name}.npz")
        for name in items
    ]
    table = build_table(records, compare=compare, items=lambda record: items[record.subject.name])
    return formats.markdown(table)


def test_a_real_difference_is_called_one(make_record: MakeRecord) -> None:
    text = report(make_record, planted(real=True), "one", "other")
    assert "one is better than other: top-1 (k=20) +15.00" in text
    assert r"other | 65.0\*" in text or "other | 65.0*" in text


def test_a_difference_by_chance_is_said_not_to_be_one(make_record: MakeRecord) -> None:
    text = report(make_record, planted(real=False), "one", "other")
    assert "one and other are not distinguishable" in text
    assert "80.0*" not in text


def test_without_names_every_run_is_held_against_the_best(make_record: MakeRecord) -> None:
    items = planted(real=True)
    items["third"] = {"ids": IDS, "top1_k20": 100.0 * (np.arange(400) < 200)}
    text = report(make_record, items)
    assert "one is better than other" in text
    assert "one is better than third" in text
    assert "other is better than third" not in text


def test_many_comparisons_are_corrected_for_their_number(make_record: MakeRecord) -> None:
    base = 100.0 * (np.arange(400) < 320)
    changed = base.copy()
    changed[:7] = 0.0  # p about 0.01 alone
    two = {"a": {"ids": IDS, "top1_k20": base}, "b": {"ids": IDS, "top1_k20": changed}}
    assert "a is better than b" in report(make_record, two, "a", "b")
    many = two | {f"c{n}": {"ids": IDS, "top1_k20": np.roll(base, n)} for n in range(1, 8)}
    assert "a and b are not distinguishable" in report(make_record, many, *many)


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"ids": IDS},
        {"ids": IDS, "top1_k20": np.zeros(3)},
        {"ids": IDS, "top1_k20": np.full(400, np.nan)},
        {"ids": IDS, "top1_k20": np.array(["x"] * 400)},
        {"ids": np.array(["none of ours"] * 400), "top1_k20": np.zeros(400)},
        {"ids": IDS, "top1_k20": np.full(400, 1e308)},
    ],
)
def test_items_of_a_stranger_never_break_the_report(make_record: MakeRecord, broken: Items) -> None:
    items = {"one": planted(real=True)["one"], "odd": broken}
    records = [make_record("one", 80.0, items="x"), make_record("odd", 1.0, items="x")]
    table = build_table(records, items=lambda record: items[record.subject.name])
    assert table.boards[0].comparisons == ()


def test_items_that_cannot_be_read_leave_the_comparison_out(make_record: MakeRecord) -> None:
    def unreadable(record: Record) -> Items:
        raise RecordError(f"{record.items} is missing")

    records = [make_record("one", items="x"), make_record("other", items="y")]
    assert build_table(records, items=unreadable).boards[0].comparisons == ()
