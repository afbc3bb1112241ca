"""One item of the runs in a results folder: its scores, and the pictures that show it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitbench.errors import UnknownName
from vitbench.records import Record
from vitbench.reports import escape, format_scores
from vitbench.reports.page.pictures import File, files, is_picture, item_of
from vitbench.reports.page.versus import values_of
from vitbench.reports.significance import readable_items


@dataclass(frozen=True, slots=True)
class RunItem:
    """An item as one run knows it."""

    record: Record
    item: str
    lines: tuple[str, ...]  # the run's name, and its scores on the item
    pictures: tuple[File, ...]  # that the run kept of it

    @property
    def run(self) -> str:
        """The name of the run, as it may be printed."""
        return format_scores.name(self.record.subject.name)

    def label(self, picture: File) -> str:
        """Say what a picture shows, without the item."""
        return escape.plain(" ".join(picture.name.replace(self.item, " ").split()))


def find_run_items(
    records: Sequence[Record], folders: Sequence[Path], wanted: str
) -> list[RunItem]:
    """Find an item in the runs that keep it.

    Args:
        records: The runs.
        folders: Where their files are.
        wanted: The id of the item, or a part of it.

    Raises:
        UnknownName: No run keeps such an item.
    """
    found: list[RunItem] = []
    known: dict[str, None] = {}
    for record in records:
        ids = [str(name) for name in readable_items(record, folders).get("ids", ())]
        known |= dict.fromkeys(ids)
        meant = [wanted] if wanted in ids else [name for name in ids if wanted in name]
        for item in meant[:1]:
            pictures = (file for file in files(record, folders) if is_picture(file))
            shown = tuple(file for file in pictures if item_of(file.name, {item}))
            found.append(RunItem(record, item, tuple(_scores(record, folders, item)), shown))
    if not found:
        raise UnknownName("item", escape.plain(wanted, escape.NAME), list(known)[:1000])
    return found


def _scores(record: Record, folders: Sequence[Path], item: str) -> Iterator[str]:
    """Write an item's score in each metric."""
    name = format_scores.name(record.subject.name)
    yield f"{name} · {record.protocol.name} · {escape.plain(item, escape.NAME)}"
    arrays = readable_items(record, folders)
    for score in record.scores:
        value = values_of(arrays, score.metric).get(item)
        if value is not None:
            here, whole = (format_scores.number(one, score.unit) for one in (value, score.value))
            yield f"  {escape.plain(score.label)}: {here} (all: {whole})"
