from pathlib import Path

import numpy as np
import pytest

from vitbench.reports.page import breakdown


def test_tables_of_two_runs_are_joined_by_their_words(tmp_path: Path) -> None:
    for name, precision in (("a", (50, 60)), ("b", (70, 60))):
        (tmp_path / f"{name}.csv").write_text(
            "category,name,images,precision\n"
            f"1,cat,10,{precision[0]}\n2,dog,20,{precision[1]}\n3,bird,5,\n"
        )
    joined = breakdown.join_tables("categories", [tmp_path / "a.csv", tmp_path / "b.csv"])
    assert joined is not None
    assert joined.keys == ("name", "category")
    assert joined.numbers == ("precision",)  # the number of images is the same in both
    assert [(keys[0], splits[0].delta) for keys, splits in joined.rows] == [
        ("cat", 20.0),
        ("dog", 0.0),
        ("bird", None),
    ]


def test_rows_of_zeros_are_left_out_and_counted(tmp_path: Path) -> None:
    for name, cat in (("a", 50), ("b", 70)):
        (tmp_path / f"{name}.csv").write_text(f"name,ap\ncat,{cat}\ndog,0\nbird,0\n")
    joined = breakdown.join_tables("categories", [tmp_path / "a.csv", tmp_path / "b.csv"])
    assert joined is not None
    assert [keys for keys, _ in joined.rows] == [("cat",)]
    assert joined.zeros == 2


def test_classes_of_imagenet_are_called_by_their_words() -> None:
    values = {"n01440764/1.jpg": 100.0, "n02102040/2.jpg": 0.0}
    assert list(breakdown.class_means(values)) == [
        "tench (n01440764)",
        "English springer (n02102040)",
    ]


def test_scores_over_time_are_read_by_clip(tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    path.write_text("clip,frame,j,f\ncamel,1,80,90\ncamel,2,70,x\nkite,1,1,2\n")
    assert breakdown.read_frames(path) == {"camel": [(1, 80, 90)], "kite": [(1, 1, 2)]}
    path.write_text("other,heads\n1,2\n")
    assert breakdown.read_frames(path) == {}


def test_the_iou_of_an_image_is_over_the_classes_that_it_shows() -> None:
    items = {
        "ids": np.array(["one", "two"]),
        "confusion_hits": np.array([[1, 2], [1, 0]]),
        "confusion_predicted": np.array([[2, 2], [2, 0]]),
        "confusion_true": np.array([[2, 4], [2, 0]]),
    }
    found = breakdown.image_ious(items)
    assert found == pytest.approx({"one": (100 / 3 + 50) / 2, "two": 100 / 3})


@pytest.mark.parametrize("content", ["", "only,a,header\n", "\x00", "a,b\n1\n"])
def test_a_table_without_rows_is_left_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.csv").write_text(content)
    assert breakdown.join_tables("x", [tmp_path / "x.csv", None]) is None


def test_a_journal_gives_one_curve_a_value_whatever_its_broken_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(
        '{"step": 1, "loss": 2.0, "of": 9, "note": "x"}\n[1]\n'
        + "[" * 100_000
        + '\n{"step": 2, "loss": NaN}\n'
        '{"step": 3, "loss": 1.0, "of": 9}\n{"step": 4, "lo'
    )
    found = breakdown.read_curves({"run": path})
    assert {key: [curve.points for curve in curves] for key, curves in found.items()} == {
        ("loss", "step"): [[(1, 2.0), (3, 1.0)]]
    }


def test_iou_of_a_class_is_over_all_images() -> None:
    items = {
        "confusion_hits": np.array([[1, 2], [1, 0]]),
        "confusion_predicted": np.array([[2, 2], [2, 0]]),
        "confusion_true": np.array([[2, 4], [2, 0]]),
    }
    found = breakdown.class_ious(items)
    assert found == pytest.approx({"class 0": 100 * 2 / 6, "class 1": 50.0})


@pytest.mark.parametrize(
    "items",
    [
        {},
        {"ids": np.array(["a"])},
        {"ids": np.array(["a"]), "m": np.zeros((1, 2))},
        {"ids": np.array(["a"]), "m": np.array(["x"])},
        {"ids": np.array(["a", "b"]), "m": np.zeros(1)},
    ],
)
def test_arrays_that_hold_no_values_give_none(items: dict[str, np.ndarray]) -> None:
    assert breakdown.item_values(items, "m") == {}
