"""Readers that pass the checks, and ways to fail each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest

from vitbench.data.dataset import Reader, readers
from vitbench.data.kinds import part_of
from vitbench.records import DatasetInfo
from vitbench.testing.reader_checks import check_reader

INFO = DatasetInfo(name="letters", split="val", kind="letters", items=3, item_noun="letters")


@dataclass(frozen=True)
class Letters:
    """Three files, one letter each."""

    root: Path
    info: DatasetInfo = INFO
    ids: Sequence[str] = ("a", "b", "c")
    notes: Sequence[str] = ()
    class_names: Sequence[str] = ()
    shared_files: Sequence[Path] = ()

    def image_files(self, index: int) -> Sequence[Path]:
        return (self.root / self.ids[index],)

    def label_files(self, index: int) -> Sequence[Path]:
        return ()

    def subset(self, indices: Sequence[int]) -> Self:
        info = part_of(self.info, len(indices))
        return replace(self, info=info, ids=[self.ids[index] for index in indices])

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> str:
        return (self.root / self.ids[index]).read_text()


class Unchanged(Letters):
    def subset(self, indices: Sequence[int]) -> Self:
        return replace(self, info=part_of(self.info, len(indices)))


class Unnamed(Letters):
    def image_files(self, index: int) -> Sequence[Path]:
        return ()


class Blind(Letters):
    """Its files are not those that its items are read from."""

    def image_files(self, index: int) -> Sequence[Path]:
        return (self.root / "other",)

    def __getitem__(self, index: int) -> str:
        return "?"


def write(root: Path) -> None:
    for name in "abc":
        (root / name).write_text(name)


def problems(make: Callable[[Path], Any], demo: Callable[[Path], None] | None = write) -> list[str]:
    reader = Reader(lambda root, _: make(root), demo, splits=("val",))
    return [finding.problem for finding in check_reader("letters", reader) if finding.problem]


def test_a_reader_that_keeps_the_contract_passes() -> None:
    assert problems(Letters) == []


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda root: Letters(root, replace(INFO, kind="words")), "expected 'letters'"),
        (lambda root: Letters(root, replace(INFO, item_noun="")), "what are the items called"),
        (lambda root: Letters(root, replace(INFO, items=2)), "2 items, len 3"),
        (lambda root: Letters(root, ids=("a", "a", "b")), "ids occur twice: a"),
        (lambda root: Letters(root, ids=("a", "b", "x")), "files are not there"),
        (Unchanged, "subset([2, 0]) has the ids a, b, c"),
        (Unnamed, "items without image_files"),
        (Blind, "files are not there"),
        (lambda root: object(), "object lacks info"),
        (lambda root: Letters(root, shared_files=(root / "gone",)), "files are not there"),
        (lambda root: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_a_reader_gets_wrong_is_told(make: Callable[[Path], Any], told: str) -> None:
    found = problems(make)
    assert any(told in text for text in found), found


def test_a_dataset_whose_declared_files_do_not_move_its_fingerprint_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vitbench.testing.reader_checks.fingerprint", lambda *_, **__: "same")
    assert "the fingerprint is the same" in problems(Letters)[-1]


def test_a_reader_without_data_to_show_is_told() -> None:
    (found,) = problems(Letters, demo=None)
    assert "no letters view" in found


@pytest.mark.parametrize("kind", ["classification", "semantic", "clips", "instances"])
def test_the_bundled_readers_pass(kind: str) -> None:
    found = [one for one in check_reader(kind, readers.get(kind)) if not one.passed]
    assert found == []
