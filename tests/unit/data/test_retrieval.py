import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vitbench.api import open_dataset
from vitbench.data.dataset import readers
from vitbench.data.retrieval import write_demo
from vitbench.errors import DatasetError, DatasetNotFound
from vitbench.testing import check_reader


@pytest.fixture
def landmarks(tmp_path: Path) -> Path:
    write_demo(tmp_path)
    return tmp_path


def edit(root: Path, **changes: Any) -> None:
    file = root / "gnd_synthetic.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_the_reader_keeps_its_contract() -> None:
    findings = list(check_reader("retrieval", readers.get("retrieval")))
    assert [finding for finding in findings if not finding.passed] == []


def test_a_pickle_says_the_same_as_json(landmarks: Path) -> None:
    file = landmarks / "gnd_synthetic.json"
    of_json = open_dataset(str(landmarks), "retrieval", "queries")
    truth = json.loads(file.read_text())
    for entry in truth["gnd"]:
        entry |= {grade: np.array(entry[grade]) for grade in ("easy", "hard", "junk")}
    file.with_suffix(".pkl").write_bytes(pickle.dumps(truth))
    file.unlink()
    of_pickle = open_dataset(str(landmarks), "retrieval", "queries")
    assert [s.target for s in of_pickle] == [s.target for s in of_json]  # type: ignore[attr-defined]
    target = of_pickle[1].target
    assert target.easy == ("jpg/landmark1_easy0.png", "jpg/landmark1_easy1.png")
    assert target.box == (8.0, 8.0, 72.0, 72.0)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"easy": [0], "hard": [0], "junk": [], "bbx": [0, 0, 1, 1]}, "two grades"),
        ({"easy": [99], "hard": [], "junk": [], "bbx": [0, 0, 1, 1]}, "no image"),
        ({"easy": [-1], "hard": [], "junk": [], "bbx": [0, 0, 1, 1]}, "no image"),
        ({"easy": [], "hard": [], "bbx": [0, 0, 1, 1]}, "junk"),
        ({"easy": [], "hard": [], "junk": [], "bbx": [0, 0, 1]}, "unpack"),
        (7, "no dictionary"),
    ],
)
def test_impossible_answers_are_named(landmarks: Path, entry: object, text: str) -> None:
    edit(landmarks, gnd=[entry] * 6)
    with pytest.raises(DatasetError, match=text):
        open_dataset(str(landmarks), "retrieval", "queries")


@pytest.mark.parametrize("name", ["../secret", "absent", 7, ""])
def test_a_name_that_leads_elsewhere_or_nowhere_is_refused(landmarks: Path, name: object) -> None:
    truth = json.loads((landmarks / "gnd_synthetic.json").read_text())
    edit(landmarks, imlist=[name, *truth["imlist"][1:]])
    with pytest.raises(DatasetError):
        open_dataset(str(landmarks), "retrieval", "database")


def test_copies_belong_to_the_original_with_the_same_first_letters(tmp_path: Path) -> None:
    for name in (
        *("original/200000.png", "original/200100.png", "strong/200001.png", "strong/200104.png"),
        "distractors/x/1.png",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    database = open_dataset(str(tmp_path), "retrieval", "database")
    queries = open_dataset(str(tmp_path), "retrieval", "queries")
    assert list(database.ids) == [
        *("original/200000.png", "original/200100.png", "distractors/x/1.png")
    ]
    assert queries[1].target.easy == ("original/200100.png",)
    (tmp_path / "strong" / "999901.png").symlink_to(tmp_path / "strong" / "200001.png")
    with pytest.raises(DatasetError, match="copies of none"):
        open_dataset(str(tmp_path), "retrieval", "queries")


def test_a_folder_of_neither_layout_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatasetNotFound, match="no queries with known answers"):
        open_dataset(str(tmp_path), "retrieval", "queries")
