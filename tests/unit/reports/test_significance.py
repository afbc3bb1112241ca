from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vitbench import kept_resamples
from vitbench.bootstrap import score_interval
from vitbench.kept_resamples import KeptResamples
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


def keep(folder: Path, make_record: MakeRecord, items: Mapping[str, Items]) -> list[Record]:
    """Keep items in a results folder, and return a record for each."""
    (folder / "knn").mkdir()
    for name, arrays in items.items():
        np.savez(folder / "knn" / f"{name}.npz", **arrays)  # type: ignore[arg-type]
    return [make_record(name, items=f"{name}.npz") for name in items]


def report(folder: Path, make_record: MakeRecord, items: Mapping[str, Items], *compare: str) -> str:
    records = [
        replace(
            record,
            scores=tuple(
                replace(score, value=float(items[record.subject.name]["top1_k20"].mean()))
                for score in record.scores
            ),
        )
        for record in keep(folder, make_record, items)
    ]
    return formats.markdown(build_table(records, compare=compare, folder=folder))


def test_a_report_draws_nothing_that_the_evaluation_drew(
    make_record: MakeRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    items = {
        name: {**arrays, "weights": np.arange(1, 401)}  # no plain mean: resampled as AP is
        for name, arrays in planted(real=True).items()
    }
    for arrays in items.values():  # as `engine.run` does for the record's interval
        assert score_interval(arrays, "top1_k20", resample=KeptResamples())
    records = keep(tmp_path, make_record, items)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("resampled again")

    monkeypatch.setattr(kept_resamples, "resampled_score", never)
    (board,) = build_table(records, folder=tmp_path).boards
    assert [one.distinct for one in board.comparisons] == [True]


def test_a_real_difference_is_called_one(make_record: MakeRecord, tmp_path: Path) -> None:
    text = report(tmp_path, make_record, planted(real=True), "one", "other")
    assert "one is better than other: top-1 (k=20) +15.00" in text
    assert r"other | 65.0\*" in text or "other | 65.0*" in text


def test_a_difference_by_chance_is_said_not_to_be_one(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    text = report(tmp_path, make_record, planted(real=False), "one", "other")
    assert "one and other are not distinguishable" in text
    assert "80.0*" not in text


def test_without_names_every_run_is_held_against_the_best(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    items = planted(real=True)
    items["third"] = {"ids": IDS, "top1_k20": 100.0 * (np.arange(400) < 200)}
    text = report(tmp_path, make_record, items)
    assert "one is better than other" in text
    assert "one is better than third" in text
    assert "other is better than third" not in text


def test_many_comparisons_are_corrected_for_their_number(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    base = 100.0 * (np.arange(400) < 320)
    changed = base.copy()
    changed[:7] = 0.0  # p about 0.01 alone
    two = {"a": {"ids": IDS, "top1_k20": base}, "b": {"ids": IDS, "top1_k20": changed}}
    (tmp_path / "two").mkdir()
    assert "a is better than b" in report(tmp_path / "two", make_record, two, "a", "b")
    many = two | {f"c{n}": {"ids": IDS, "top1_k20": np.roll(base, n)} for n in range(1, 8)}
    assert "a and b are not distinguishable" in report(tmp_path, make_record, many, *many)


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
def test_items_of_a_stranger_never_break_the_report(
    make_record: MakeRecord, tmp_path: Path, broken: Items
) -> None:
    items = {"one": planted(real=True)["one"], "odd": broken}
    table = build_table(keep(tmp_path, make_record, items), folder=tmp_path)
    assert table.boards[0].comparisons == ()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"no archive", None])
def test_items_that_cannot_be_read_leave_the_comparison_out(
    make_record: MakeRecord, tmp_path: Path, content: bytes | None
) -> None:
    records = keep(tmp_path, make_record, planted(real=True))
    (tmp_path / "knn" / "one.npz").unlink()
    if content is not None:
        (tmp_path / "knn" / "one.npz").write_bytes(content)
    assert build_table(records, folder=tmp_path).boards[0].comparisons == ()
