"""The files that belong to a record, and their removal."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RecordFiles:
    """The files of one record, by the place of its JSON file: no path that is in it counts.

    Args:
        record: The JSON file.
        stem: What its name must be without the ending. A file that was renamed stands alone, so
            that a folder that happens to have its name is not taken for the record's.
    """

    record: Path
    stem: str

    @property
    def items(self) -> Path:
        """The per-item scores."""
        return self.record.with_suffix(".items.npz")

    @property
    def artifacts(self) -> Path:
        """The folder of pictures, tables and journals."""
        return self.record.with_suffix("")

    def present(self) -> Iterator[Path]:
        """List the files that exist; a link counts as a file, whatever it points to."""
        own = (self.artifacts, self.items) if self.record.stem == self.stem else ()
        for path in (*own, self.record):
            if path.is_symlink() or path.exists():
                yield path

    @property
    def size_bytes(self) -> int:
        """The size of all files."""
        files = (
            file
            for path in self.present()
            if not path.is_symlink()
            for file in (path, *path.rglob("*"))
        )
        return sum(file.stat().st_size for file in files if file.is_file())

    def remove(self) -> None:
        """Remove them; the record goes last, so that a removal that is cut off can be repeated."""
        for path in self.present():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
