"""Tell by few looks at the disk whether a checkpoint or a data set is as it was.

A run hashes its data whole. What is kept here only answers whether that is worth doing again: the
times of folders and of the files that are few. An image that is changed in place in a folder of
many is noticed by the next run, not here.
"""

import os
from pathlib import Path
from typing import Any

from vitbench.data.dataset import DATA_VARIABLE
from vitbench.engine.default_data import default_data
from vitbench.settings import digest
from vitbench.studies.matrix import Cell, Column

FEW = 64  # files of a folder that are looked at one by one
OF_FOLDERS = (".bin", ".json", ".safetensors")  # endings of what a folder's weights are read from
DEPTH = 2  # folders below that of the data set


def mark_of(cell: Cell) -> str:
    """Return what changes when the files of a cell do (sha256, hexadecimal)."""
    return digest([_checkpoint_mark(cell.row.spec or ""), _data_mark(cell.column)])


def _checkpoint_mark(spec: str) -> list[Any]:
    path = Path(spec if Path(spec).exists() else spec.partition("@")[0]).expanduser()
    if not path.exists():
        return []  # a name: what it stands for does not change
    if path.is_file():
        return [_facts(path)]
    return [_facts(file) for file in sorted(path.iterdir()) if file.suffix in OF_FOLDERS]


def _data_mark(column: Column) -> list[Any]:
    name = column.data or default_data(column.protocol)
    lists = [word.rpartition("=")[2] for word in column.run.split_list]
    found = [_facts(Path(file)) for file in lists]
    base = os.environ.get(DATA_VARIABLE, "")
    for root in (Path(name).expanduser(), Path(base).expanduser() / name):
        if root.is_dir():
            return [*found, str(root.resolve()), *_folder_facts(root.resolve(), DEPTH)]
    return found


def _folder_facts(folder: Path, depth: int) -> list[Any]:
    found: list[Any] = [_facts(folder)]
    if not depth:
        return found
    with os.scandir(folder) as entries:
        inside = sorted(entries, key=lambda entry: entry.name)
    folders = [entry for entry in inside if entry.is_dir()]
    files = [entry for entry in inside if not entry.is_dir()]
    if len(files) <= FEW:
        found += [_facts(Path(entry.path)) for entry in files]
    for entry in folders:
        found += _folder_facts(Path(entry.path), depth - 1)
    return found


def _facts(path: Path) -> list[Any]:
    try:
        found = path.stat()
    except OSError:
        return [str(path)]
    size = 0 if path.is_dir() else found.st_size
    return [str(path), size, found.st_mtime_ns, found.st_ino]
