"""Records on disk: one JSON file for each run."""

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from errno import EACCES
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitbench.bounds import LARGEST_ITEMS, LARGEST_RECORD
from vitbench.errors import RecordError
from vitbench.outside_files import parsing, read_bytes, refused_as
from vitbench.records.regular import regular_arrays
from vitbench.records.schema import SCHEMA, Record
from vitbench.records.whole_files import atomic

if TYPE_CHECKING:  # slow to import: no help reads a record, and few of its readers need arrays
    from numpy.typing import NDArray
    from pydantic import TypeAdapter

ItemScores = Mapping[str, "NDArray[Any]"]  # "ids" (n,) text; one array (n, …) per metric


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file in a results folder that is no record of ours, and why."""

    path: Path
    reason: str


@cache
def adapter() -> "TypeAdapter[Record]":
    """Return the one reader, writer and schema of records."""
    from pydantic import TypeAdapter

    return TypeAdapter(Record)


def json_schema() -> dict[str, Any]:
    """Return the published JSON Schema of a record."""
    return adapter().json_schema()


def failure_of(identity: str) -> str:
    """Return the id of the record that a failed run leaves, from the one of its success."""
    return hashlib.sha256(f"{identity} failed".encode()).hexdigest()


def stem(record: Record) -> str:
    """Return the file name of a record without its ending: `<subject>.<id8>`."""
    return f"{safe_name(record.subject.name)}.{safe_name(record.id[:8])}"


def safe_name(name: str) -> str:
    """Turn any text into a file name without a path in it."""
    return re.sub(r"[^A-Za-z0-9._=+-]+", "-", name).strip(".-")[:80] or "unnamed"


def write_record(record: Record, folder: Path, items: ItemScores | None = None) -> Path:
    """Write a record and its per-item scores to `<folder>/<protocol>/<subject>.<id8>.json`.

    Raises:
        RecordError: The folder can't be written (read-only, disk full). Nothing half-written stays.
    """
    target = folder / safe_name(record.protocol.name) / f"{stem(record)}.json"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if items is not None:
            import numpy as np

            with atomic(target.with_suffix(".items.npz")) as path, path.open("wb") as stream:
                np.savez_compressed(stream, **items)  # type: ignore[arg-type]
        with atomic(target) as path:
            path.write_bytes(adapter().dump_json(record, indent=1) + b"\n")
    except OSError as error:
        raise _unwritable(target, error) from error
    return target


def make_folder(folder: Path, protocol: str) -> None:
    """Make the folder of a protocol's records, before any long work.

    Raises:
        RecordError: It can't be made or written.
    """
    target = folder / safe_name(protocol)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if not os.access(target, os.W_OK | os.X_OK):
            raise PermissionError(EACCES, "Permission denied")
    except OSError as error:
        raise _unwritable(target, error) from error


def _unwritable(target: Path, error: OSError) -> RecordError:
    return RecordError(
        f"the record could not be written to {str(target)!r}.",
        expected="a results folder with room that can be written",
        found=f"{error.strerror or error}",
        hint="--results DIR names another folder",
    )


def read_record(path: Path) -> Record:
    """Read one record.

    Raises:
        RecordError: The file is no record, or of a newer schema.
    """
    with refused_as(lambda error: RecordError(f"{path.name} is no record.", found=_reason(error))):
        from pydantic import ValidationError

        raw = read_bytes(path, LARGEST_RECORD)
        try:
            record = adapter().validate_json(raw)
        except ValidationError:
            _check_schema(json.loads(raw), path)
            raise
        _check_schema({"schema": record.schema}, path)
        _check_paths(record)
        return record


def _check_schema(document: object, path: Path) -> None:
    """Refuse a record of a later version, whatever else is the matter with it."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecordError(
            f"{path.name} was written by a newer vitbench.",
            expected=f"schema {SCHEMA} or older",
            found=f"schema {schema}",
        )


def read_records(folder: Path) -> Iterator[Record | Unreadable]:
    """Yield every record below a folder, in the order of the paths; other files as `Unreadable`."""
    for _, found in read_files(folder):
        yield found


def read_files(folder: Path) -> Iterator[tuple[Path, Record | Unreadable]]:
    """Read every record below a folder, each with the file that it lies in."""
    for path in sorted(folder.glob("*/*.json"), key=lambda path: path.parts):
        try:
            yield path, read_record(path)
        except RecordError as error:
            yield path, Unreadable(path, error.found or error.wrong)


def find_record(folder: Path, protocol: str, identity: str) -> Record | None:
    """Return the finished record of an identity, if the folder holds one."""
    for path in sorted((folder / safe_name(protocol)).glob(f"*.{identity[:8]}.json")):
        try:
            record = read_record(path)
        except RecordError:
            continue
        if record.id == identity and record.status == "ok":
            return record
    return None


def read_items(record: Record, folder: Path) -> "dict[str, NDArray[Any]]":
    """Read the per-item scores of a record; empty where it keeps none.

    Raises:
        RecordError: The file that the record names is missing or broken.
    """
    if not record.items:
        return {}
    path = folder / safe_name(record.protocol.name) / Path(record.items).name
    with parsing(f"the file of per-item scores {path.name!r}", error=RecordError):
        return regular_arrays(path, LARGEST_ITEMS)


def _check_paths(record: Record) -> None:
    """Refuse names of files that no file can have."""
    for name, relative in (("items", record.items), *record.artifacts.items()):
        if "\0" in relative:
            raise ValueError(f"the file name of {name!r} holds a NUL character")


def _reason(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}"
    return f"{type(error).__name__}: {error}"
