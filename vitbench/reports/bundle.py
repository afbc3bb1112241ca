"""Records to pass on: a folder with the page, the records, their schema and the hash of each file.

bundle/report.html           the page
bundle/records/…             a results folder: records, per-item scores, pictures, tables
bundle/record.schema.json    JSON Schema of a record
bundle/SHA256SUMS            what `sha256sum --check` reads
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from os.path import normpath
from pathlib import Path

from vitbench.errors import RecordError
from vitbench.records import Record, json_schema, safe_name, write_record
from vitbench.reports.folders import RECORDS, SUMS, digest_of, files_below
from vitbench.reports.page import html
from vitbench.reports.page.pictures import files
from vitbench.reports.table import Table

PAGE, SCHEMA = "report.html", "record.schema.json"


def write_bundle(table: Table, target: Path) -> int:
    """Write a bundle of the measured runs that a report shows; return how many there are.

    Folders of predictions are left out, and files of 30 MB and more.

    Raises:
        RecordError: The target exists already, or can't be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise RecordError(f"{str(target)!r} is there already.", expected="the name of a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as name:
            part = Path(name) / "bundle"
            count = _fill(table, part)
            part.replace(target)
    except OSError as error:
        raise RecordError(
            f"the bundle could not be written to {str(target)!r}.", found=f"{error.strerror}"
        ) from error
    return count


def _fill(table: Table, folder: Path) -> int:
    shown = [entry.record for board in table.boards for entry in board.entries]
    records = [record for record in (*shown, *table.failed) if record.source == "measured"]
    (folder / RECORDS).mkdir(parents=True)
    for record in records:
        home = write_record(record, folder / RECORDS).parent
        copied = {normpath(record.artifacts[f.name]): f.path for f in files(record, table.folders)}
        copied |= {path.name: path for path in _items_of(record, table.folders)}
        for name, path in copied.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, home / name)
    (folder / PAGE).write_text(html(table), encoding="utf-8")
    (folder / SCHEMA).write_text(json.dumps(json_schema(), indent=1) + "\n")
    sums = [
        f"{digest_of(path)}  {path.relative_to(folder).as_posix()}\n"
        for path in files_below(folder)
    ]
    (folder / SUMS).write_text("".join(sums), encoding="utf-8")
    return len(records)


def _items_of(record: Record, folders: Sequence[Path]) -> list[Path]:
    """Return the file with the per-item scores of a record, if it keeps any."""
    name = Path(record.items).name
    there = (folder / safe_name(record.protocol.name) / name for folder in folders if name)
    return [path for path in there if path.is_file()][:1]
