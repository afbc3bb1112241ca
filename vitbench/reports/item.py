"""One item of the runs in a results folder: its scores, and the files that show it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from vitbench.errors import UnknownName
from vitbench.records import Record
from vitbench.reports import escape, format_scores
from vitbench.reports.page.breakdown import item_values
from vitbench.reports.page.pictures import File, files, is_picture, item_of
from vitbench.reports.significance import readable_items


def tell_item(
    records: Sequence[Record], folders: Sequence[Path], wanted: str
) -> tuple[list[str], list[File]]:
    """Tell what runs scored on an item and where its pictures lie.

    Args:
        records: The runs.
        folders: Where their files are.
        wanted: The id of the item, or a part of it.

    Returns:
        Lines of text, and the pictures.

    Raises:
        UnknownName: No run keeps such an item.
    """
    lines: list[str] = []
    shown: list[File] = []
    known: dict[str, None] = {}
    for record in records:
        ids = [str(name) for name in readable_items(record, folders).get("ids", ())]
        known |= dict.fromkeys(ids)
        found = [wanted] if wanted in ids else [name for name in ids if wanted in name]
        for item in found[:1]:
            lines += _scores(record, folders, item)
            shown += _pictures(record, folders, item)
    if not lines:
        raise UnknownName("item", escape.plain(wanted, escape.NAME), list(known)[:1000])
    return lines, shown


def _scores(record: Record, folders: Sequence[Path], item: str) -> Iterator[str]:
    """Write an item's score in each metric."""
    name = format_scores.name(record.subject.name)
    yield f"{name} · {record.protocol.name} · {escape.plain(item, escape.NAME)}"
    arrays = readable_items(record, folders)
    for score in record.scores:
        value = item_values(arrays, score.metric).get(item)
        if value is not None:
            here, whole = (format_scores.number(one, score.unit) for one in (value, score.value))
            yield f"  {escape.plain(score.label)}: {here} (all: {whole})"


def _pictures(record: Record, folders: Sequence[Path], item: str) -> Iterator[File]:
    for file in files(record, folders):
        if is_picture(file) and item_of(file.name, {item}):
            yield file
