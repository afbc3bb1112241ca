"""Compare a folder with a published set: counts, sizes, and whether the readers can open it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from vitbench.data.dataset import readers
from vitbench.data.published.sets import PublishedSet
from vitbench.errors import DatasetError, DatasetNotFound


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a whole copy has so many of."""

    what: str
    found: int
    expected: int
    optional: bool = False  # of a part that is fetched only when it is asked for
    fault: str = ""  # why it can't be used as it is

    @property
    def whole(self) -> bool:
        """Whether all of it is there."""
        return self.found == self.expected and not self.fault

    def __str__(self) -> str:
        state = "whole" if self.whole else "not there" if not self.found else "a part of it"
        if self.found > self.expected:
            state = "more than the set has"
        return f"{self.found:,} of {self.expected:,}  {self.fault or state}"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a folder of a published set."""

    wanted: PublishedSet
    root: Path
    findings: Sequence[Finding]

    @property
    def faults(self) -> list[str]:
        """What keeps the folder from being used."""
        return [each.fault for each in self.findings if each.fault]

    @property
    def verdict(self) -> str:
        """One sentence on the whole."""
        needed = [each for each in self.findings if each.found or not each.optional]
        if self.faults:
            return "broken: " + self.faults[0].splitlines()[0]
        if all(each.whole for each in needed):
            left = [each.what for each in self.findings if each not in needed]
            return "whole" + (f"; not there: {', '.join(left)} (optional)" if left else "")
        if any(each.found > each.expected for each in needed):
            return "another set: it has more than the published one"
        return (
            f"a subset: a score on it is no score on {self.wanted.title}, and reports never put it"
            " into one column with one"
        )


def check_set(wanted: PublishedSet, root: Path) -> Checked:
    """Count what a folder holds, look for empty files, and open each split as a protocol would.

    Readers check that every name in the lists and annotations has its files, and that these can be
    read.

    Args:
        wanted: The set that the folder should be.
        root: The folder.

    Raises:
        DatasetNotFound: There is no such folder.
    """
    if not root.is_dir():
        raise DatasetNotFound(
            f"{wanted.name} is not there.",
            expected=f"a folder {str(root)!r}",
            hint=f"vitbench data get {wanted.name}" if wanted.archives else wanted.homepage,
        )
    return Checked(wanted, root, [*_contents(wanted, root), *_splits(wanted, root)])


def _contents(wanted: PublishedSet, root: Path) -> Iterator[Finding]:
    for content in wanted.contents:
        paths = list(root.glob(content.paths))
        empty = [path for path in paths if path.is_file() and not path.stat().st_size]
        fault = f"{len(empty)} empty files, the first is {str(empty[0])!r}" if empty else ""
        yield Finding(content.what, len(paths), content.count, bool(content.part), fault)


def _splits(wanted: PublishedSet, root: Path) -> Iterator[Finding]:
    known = {entry.name for entry in readers.entries()}
    named = chain.from_iterable(
        ((kind, split, count) for split, count in splits.items())
        for kind, splits in wanted.splits.items()
        if kind in known
    )
    for kind, split, expected in named:
        found, fault = 0, ""
        try:
            found = len(readers.get(kind).open(root, split))
        except DatasetNotFound:
            pass
        except DatasetError as error:
            fault = str(error)
        optional = split == "train" and "train" in wanted.parts
        yield Finding(f"{kind}, {split}", found, expected, optional, fault)
