"""`vitbench show`: items of built-in data with their truth, and of runs with their scores."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitbench.cli.show import run
from vitbench.data.dataset import data_root, open_dataset
from vitbench.errors import DatasetNotFound, SettingError, UnknownName
from vitbench.records import stem, write_record
from vitbench.reports.published import published_records

Told = Callable[[], str]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    return lambda: capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("classification", "class: "),
        ("instances", "objects: "),
        ("semantic", "labels: "),
        ("clips", "with masks of every frame"),
    ],
)
def test_an_item_of_data_is_drawn_with_its_truth(
    kind: str, says: str, tmp_path: Path, told: Told
) -> None:
    path = tmp_path / "new" / "item.png"
    assert run(["synthetic", "1", "--kind", kind, "--out", str(path)]) == 0
    text = told()
    assert says in text
    assert str(path) in text
    dataset = open_dataset("synthetic", kind, "val")
    assert f"id: {dataset.ids[1]}" in text
    with Image.open(path) as drawn:
        shown = np.array(drawn.convert("RGB")).astype(int)
    assert shown.std() > 1
    if kind in {"instances", "semantic"}:  # the truth changes the picture
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


def test_an_item_of_a_run_is_told_with_its_scores_and_pictures(tmp_path: Path, told: Told) -> None:
    pattern = next(record for record in published_records() if record.protocol.name == "davis")
    record = replace(pattern, source="measured", id="ab" * 32)
    record = replace(record, subject=replace(record.subject, name="mine"))
    record = replace(
        record,
        items=f"{stem(record)}.items.npz",
        artifacts={"overlay camel frame 9": "mine/9.jpg"},
    )
    values = {"jf_mean": np.array([71.25, 30.0])}
    home = write_record(record, tmp_path, {"ids": np.array(["camel", "kite"]), **values}).parent
    (home / "mine").mkdir()
    Image.new("RGB", (8, 8)).save(home / "mine" / "9.jpg")
    assert run(["mine", "came", "--results", str(tmp_path)]) == 0
    text = told()
    assert "mine · davis · camel" in text
    assert ": 71.2 (all: " in text
    assert f"overlay camel frame 9: {home / 'mine' / '9.jpg'}" in text
    with pytest.raises(UnknownName, match="no item 'dog'"):
        run(["mine", "dog", "--results", str(tmp_path)])


def test_what_is_neither_data_nor_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="no dataset and no run 'nowhere'"):
        run(["nowhere", "1", "--results", str(tmp_path)])
    with pytest.raises(SettingError, match="nothing to look at"):
        run([])
