"""Pictures of one item side by side: the truth, or the image, and beside it what each run drew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from vitbench.reports.page.pictures import Image

BESIDE = ("truth", "image")  # what pictures of a run alone are called that stand beside others


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of one run; no image where it has no room in the page."""

    run: str
    image: Image | None
    alt: str


Row = tuple[str, tuple[Picture | None, ...]]  # what the pictures show, and one for each run


def side_by_side(rows: Mapping[str, Sequence[Picture | None]]) -> tuple[Row, ...]:
    """Put what is the same for every run in front of what the runs drew of it.

    Args:
        rows: By what they show, such as `overlay frame 9`: a picture for each run.

    Returns:
        The rows; where some begin with a picture of every run, the others begin with a gap.
    """
    shared = {label: found for label, row in rows.items() if (found := _same(label, row))}
    of = {_subject(label): label for label in shared}
    drawn: dict[str, tuple[Picture | None, ...]] = {
        label: tuple(row) for label, row in rows.items() if label not in shared
    }
    beside: list[Row] = []
    for label, row in drawn.items():
        first = shared.pop(of.get(_subject(label), ""), None)
        name = (_subject(label) or label) if first else label
        beside.append((name, (first, *row) if of else row))
    alone: list[Row] = [(label, (picture,)) for label, picture in shared.items()]
    return (*alone, *beside)


def _subject(label: str) -> str:
    """Return what a picture shows without what was drawn of it: `frame 9` of `truth frame 9`."""
    return label.partition(" ")[2]


def _same(label: str, row: Sequence[Picture | None]) -> Picture | None:
    """Return the picture of a row that is the same for every run, such as the truth."""
    what, there = label.partition(" ")[0], [one for one in row if one and one.image]
    if len(there) < len(row) or len({one.image for one in there}) > 1:
        return None
    if len(there) == 1 and what not in BESIDE:
        return None
    return replace(there[0], run=what if what in BESIDE else "every run")
