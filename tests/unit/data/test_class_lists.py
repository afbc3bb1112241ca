"""Class files: every known form is read, a broken one is named."""

from pathlib import Path

import pytest

from vitbench.data.class_lists import read_class_list
from vitbench.errors import DatasetError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("objectInfo150.csv", "Idx,Ratio,Name\n1,0.1,wall\n2,0.1,sky\n"),
        ("objectInfo150.txt", "Idx\tRatio\tName\n1\t0.1\twall\n2\t0.1\tsky\n"),
        ("classes.yaml", "classes:\n  0: unlabeled\n  1: wall\n  2: sky\n"),
        ("classes.txt", "wall\nsky\n"),
    ],
)
def test_class_names_come_from_any_known_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_class_list(tmp_path).names == {1: "wall", 2: "sky"}


@pytest.mark.parametrize(
    "text",
    [
        "names: {}",
        "classes: [1",
        "classes: 3",
        "classes: {a: wall}",
        "classes: {-1: wall}",
        "classes: {1: [wall]}",
        "classes: {1: wall, '1': sky}",
        "classes: {70000: wall}",
        "[" * 100_000,
    ],
)
def test_a_broken_class_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(DatasetError, match=r"classes\.yaml"):
        read_class_list(tmp_path)


def test_a_class_0_is_a_class_and_a_void_label_is_none(tmp_path: Path) -> None:
    (tmp_path / "classes.yaml").write_text("classes:\n  0: background\n  1: dog\n  255: void\n")
    found = read_class_list(tmp_path)
    assert found.names == {0: "background", 1: "dog"}
    assert found.void == {255}


def test_lines_may_say_their_labels(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("0: unlabeled\n1: person\n3: car: parked\n")
    found = read_class_list(tmp_path)
    assert found.names == {1: "person", 3: "car: parked"}
    assert found.void == {0}


def test_a_class_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes("straße\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"classes\.txt"):
        read_class_list(tmp_path)


def test_more_classes_than_can_be_scored_are_refused(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("".join(f"{n}\n" for n in range(5000)))
    with pytest.raises(DatasetError, match="at most 4096"):
        read_class_list(tmp_path)
