"""Records of several results folders and bundles, put together."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from vitbench.errors import RecordError
from vitbench.records import Record, Unreadable, read_files

RECORDS, SUMS = "records", "SHA256SUMS"  # of a bundle: its results folder, the hashes of its files


def read_folders(folders: Sequence[Path]) -> tuple[list[Record | Unreadable], tuple[Path, ...]]:
    """Read the records of results folders and bundles; of a run that several hold, the first.

    Returns:
        The records, and the results folders that they lie in.

    Raises:
        RecordError: A file of a bundle is not what its list says.
    """
    homes = tuple(_records_of(folder) for folder in folders)
    seen: dict[str, tuple[Path, Record]] = {}
    found: list[Record | Unreadable] = []
    for home in homes:
        for path, record in read_files(home):
            if isinstance(record, Unreadable):
                found.append(record)
                continue
            first, same = seen.setdefault(record.id, (home, record))
            if first == home:
                found.append(record)
            elif same != record:
                found.append(Unreadable(path, f"another record of its run lies in {first}"))
    return found, homes


def _records_of(folder: Path) -> Path:
    """Return the results folder of a bundle, checked; any other folder is one itself."""
    if not (folder / SUMS).is_file() or not (folder / RECORDS).is_dir():
        return folder
    listed = {}
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    there = {path.relative_to(folder).as_posix(): path for path in files_below(folder / RECORDS)}
    wrong = [name for name, path in there.items() if listed.get(name) != digest_of(path)]
    wrong += [name for name in listed if name.startswith(f"{RECORDS}/") and name not in there]
    wrong = [name.removeprefix(f"{RECORDS}/") for name in wrong]
    if wrong:
        raise RecordError(
            f"the bundle {str(folder)!r} is not what its {SUMS} says.",
            expected="every file as it was when the bundle was written",
            found=f"{len(wrong)} changed, added or missing, among them {sorted(wrong)[0]!r}",
            hint=f"get it anew, or read it all the same by its folder: {folder / RECORDS}",
        )
    return folder / RECORDS


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, in the order of their names."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def digest_of(path: Path) -> str:
    """Return the sha256 of a file, hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
