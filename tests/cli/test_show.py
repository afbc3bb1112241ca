"""`vitbench show`: items of built-in data with their truth, and of runs with their scores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.cli.show import run
from vitbench.data.dataset import data_root, open_dataset
from vitbench.data.draw_item import draw_item
from vitbench.errors import DatasetNotFound, SettingError, UnknownName
from vitbench.records import DatasetInfo, Record, stem, write_record
from vitbench.reports.item_sheet import LINE, WIDTH
from vitbench.reports.published import published_records

Told = Callable[[], str]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return lambda: capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "split", "says"),
    [
        ("classification", "val", "class: "),
        ("instances", "val", "objects: "),
        ("semantic", "val", "labels: "),
        ("clips", "val", "with masks of every frame"),
        ("pairs", "test", "key points: 6, numbered"),
        ("depth", "val", " m, 9"),
        ("retrieval", "queries", "easy: 2: jpg/"),
    ],
)
def test_an_item_of_data_is_drawn_with_its_truth(
    kind: str, split: str, says: str, tmp_path: Path, told: Told
) -> None:
    path = tmp_path / "new" / "item.png"
    command = ["synthetic", "1", "--kind", kind, "--split", split, "--out", str(path)]
    assert run(command) == 0
    text = told()
    assert says in text
    assert str(path) in text
    dataset = open_dataset("synthetic", kind, split)
    assert f"id: {dataset.ids[1]}" in text
    with Image.open(path) as drawn:
        shown = np.array(drawn.convert("RGB")).astype(int)
    assert shown.std() > 1
    if kind == "depth":  # image and depth side by side
        plain = np.array(dataset[1].image)
        assert shown.shape == (plain.shape[0], 2 * plain.shape[1], 3)
        near, far = shown[:, plain.shape[1] :, 0].max(), shown[:, plain.shape[1] :, 0].min()
        assert near == 255
        assert far < 60
    if kind in {"instances", "semantic", "retrieval"}:  # the truth changes the picture
        plain = np.array(dataset[1].image).astype(int)
        assert np.abs(shown - plain).mean() > 1


def test_the_kind_of_a_folder_is_found(tmp_path: Path, told: Told) -> None:
    root = data_root("synthetic", "semantic")
    assert run([str(root), "0", "--out", str(tmp_path / "x.png")]) == 0
    assert "· semantic ·" in told()


def test_an_item_is_found_by_a_part_of_its_id(tmp_path: Path) -> None:
    dataset = open_dataset("synthetic", "clips", "val")
    name = str(dataset.ids[0])
    arguments = ["synthetic", "--kind", "clips", "--out", str(tmp_path / "x.png")]
    assert run([*arguments[:1], name[:-1] if len(dataset) == 1 else name, *arguments[1:]]) == 0
    with pytest.raises(UnknownName, match="no item 'nothing like it'"):
        run(["synthetic", "nothing like it", "--kind", "clips"])
    with pytest.raises(SettingError, match="a part of"):
        run(["synthetic", "n", "--kind", "classification"])


def davis_record(name: str, data: str, item: str) -> Record:
    """A record of one run with a picture of one item."""
    pattern = next(record for record in published_records() if record.protocol.name == "davis")
    record = replace(
        pattern,
        source="measured",
        id=name.encode().hex() * 8,
        subject=replace(pattern.subject, name=name),
        dataset=DatasetInfo(name=data, split="val", kind="clips", items=2),
        artifacts={f"overlay {item} frame 9": f"{name}/9.png"},
    )
    return replace(record, items=f"{stem(record)}.items.npz")


def keep(folder: Path, record: Record, item: str, color: str) -> Path:
    """Keep a record whose picture has one color; return that picture's path."""
    values = {"ids": np.array([item, "kite"]), "jf_mean": np.array([71.25, 30.0])}
    path = write_record(record, folder, values).parent / record.subject.name / "9.png"
    path.parent.mkdir()
    Image.new("RGB", (40, 30), color).save(path)
    return path


def test_an_item_of_runs_is_shown_with_scores_truth_and_predictions(
    tmp_path: Path, told: Told
) -> None:
    dataset = open_dataset("synthetic", "clips", "val")
    item, sheet = str(dataset.ids[0]), tmp_path / "sheet.png"
    folder = tmp_path / "results"
    for name, color in (("mine", "red"), ("mine-too", "blue")):
        record = replace(
            davis_record(name, "synthetic", item),
            subject=replace(davis_record(name, "", item).subject, method="ours"),
        )
        path = keep(folder, record, item, color)
    assert run(["ours", item, "--results", str(folder), "--out", str(sheet)]) == 0
    text = told()
    assert f"mine · davis · {item}" in text
    assert ": 71.2 (all: " in text
    assert f"overlay {item} frame 9: {path}" in text
    assert "truth: frames: " in text
    assert f"truth and predictions: {sheet}" in text
    with Image.open(sheet) as opened:
        pixels = np.array(opened)
    truth = np.array(draw_item(dataset, 0).picture)
    high, wide = truth.shape[:2]
    assert wide <= WIDTH  # not made smaller
    np.testing.assert_array_equal(pixels[LINE : LINE + high, :wide], truth)
    found = {}
    for color, value in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        rows, columns = np.nonzero((pixels == value).all(axis=2))
        assert len(rows) >= 40 * 30
        found[color] = (rows.min(), columns.min())
    assert found["red"][0] == found["blue"][0]  # the same frame of both runs, side by side
    assert found["red"][1] != found["blue"][1]


def test_a_run_whose_data_is_not_here_is_shown_without_truth(tmp_path: Path, told: Told) -> None:
    sheet = tmp_path / "sheet.png"
    for number, data in enumerate(("not-here", "hf:OWNER/NAME")):  # a record makes nobody fetch
        folder = tmp_path / f"results-{number}"
        keep(folder, davis_record("mine", data, "camel"), "camel", "red")
        assert run(["mine", "came", "--results", str(folder), "--out", str(sheet)]) == 0
        text = told()
        assert "truth: not drawn, as " in text
        assert "--data PATH" in text
        assert f"  predictions: {sheet}" in text
    with pytest.raises(UnknownName, match="no item 'dog'"):
        run(["mine", "dog", "--results", str(folder)])


def test_what_is_neither_data_nor_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="no dataset and no run 'nowhere'"):
        run(["nowhere", "1", "--results", str(tmp_path)])
    with pytest.raises(SettingError, match="nothing to look at"):
        run([])
