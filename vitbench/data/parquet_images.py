"""Classified images in Parquet files, as the Hugging Face Hub keeps them: `image`, `label`.

Images are a column of {bytes, path}; labels are numbers, whose names the schema may say, or names.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from vitbench.data.decode import RESTORE, CorruptImage
from vitbench.data.stored import Label, Scan
from vitbench.errors import DatasetError, MissingDependency, listed
from vitbench.outside_files import check_regular, parsing, reason, refused_as

SUFFIX = ".parquet"
LABELS = ("label", "labels", "class", "target", "fine_label")  # columns, in this order
BATCHES_KEPT = 8  # groups of rows held in memory; images are read in the order of the file


@dataclass(frozen=True, slots=True)
class ParquetStore:
    """Images in rows of Parquet files: a `Store`."""

    files: Sequence[Path]
    column: str
    rows: Sequence[tuple[int, int, int]]  # number of the file, group of rows, row in the group
    holds_labels: bool = True

    def file(self, place: int) -> Path:
        """Return the file of an image."""
        return self.files[self.rows[place][0]]

    def read(self, place: int) -> tuple[str, bytes]:
        """Return the name and the bytes of an image."""
        number, group, row = self.rows[place]
        path = self.files[number]
        name = f"{path}: row {row} of group {group}"
        with (
            refused_as(lambda error: CorruptImage(name, found=reason(error), cure=RESTORE)),
            _LOCK,  # of threads that want the same group, one reads it
        ):
            data = _group(path, group, self.column)[row]
        if data is None:
            cure = "take the table with its images embedded"
            raise CorruptImage(name, found="a path instead of the image", cure=cure)
        return name, data


def scan_parquet(files: Sequence[Path]) -> Scan:
    """Read the labels of Parquet files; images are read when they are asked for.

    Raises:
        MissingDependency: pyarrow is not installed.
        DatasetError: A file is damaged, or its columns are no images and labels.
    """
    parquet = _pyarrow()
    ids: list[str] = []
    labels: list[Label] = []
    rows = []
    names: Sequence[str] = ()
    column = ""
    for number, path in enumerate(files):
        with parsing(f"the table {str(path)!r}", expected="a whole Parquet file"):
            check_regular(path)
            with parquet.ParquetFile(path) as table:
                column, label = _columns(path, table.schema_arrow)
                names = names or _names(table.schema_arrow, label)
                own = table.read(columns=[label])[label].to_pylist()
                groups = range(table.num_row_groups)
                sizes = [table.metadata.row_group(group).num_rows for group in groups]
                if len(own) != sum(sizes):
                    raise ValueError(f"{len(own)} labels, but groups of {sum(sizes)} rows")
        labels += own
        for group, size in enumerate(sizes):
            rows += [(number, group, row) for row in range(size)]
        ids += [f"{path.name}/{row:07}" for row in range(sum(sizes))]
    return Scan(ParquetStore(files, column, rows), ids, labels, names, in_turns=False)


def _columns(path: Path, schema: Any) -> tuple[str, str]:
    """Return the names of the column of images and of that of labels."""
    import pyarrow

    images = [
        field.name
        for field in schema
        if pyarrow.types.is_struct(field.type)
        and {"bytes"} <= {field.type.field(place).name for place in range(field.type.num_fields)}
    ]
    labels = [name for name in LABELS if name in schema.names]
    if len(images) != 1 or not labels:
        raise DatasetError(
            f"the table {str(path)!r} holds no classified images.",
            expected=f"one column of {{bytes, path}}, and one of {', '.join(LABELS)}",
            found=f"the columns {listed(schema.names)}",
            hint="--data names a set of images with labels",
        )
    return images[0], labels[0]


def _names(schema: Any, label: str) -> Sequence[str]:
    """Return the names of the classes that the schema says; none where it says none."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        found = features[label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    return [str(name) for name in found] if isinstance(found, list) else ()


@lru_cache(BATCHES_KEPT)
def _group(path: Path, group: int, column: str) -> list[bytes | None]:
    """Read the images of one group of rows."""
    with _pyarrow().ParquetFile(path) as table:
        found = table.read_row_group(group, columns=[f"{column}.bytes"])
    images: list[bytes | None] = found[column].combine_chunks().field("bytes").to_pylist()
    return images


_LOCK = Lock()


def _pyarrow() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependency(
            "pyarrow", needed_for="reading Parquet files", extra="parquet"
        ) from error
    return pyarrow.parquet
