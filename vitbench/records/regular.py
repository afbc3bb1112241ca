"""Safe reading of the arrays of others: no more memory than the file holds numbers."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

from vitbench.bounds import MOST_MEMBERS
from vitbench.outside_files import check_regular

if TYPE_CHECKING:  # numpy is slow to import, and most readers of records need no arrays
    from numpy.typing import NDArray


def regular_arrays(path: Path, most: int) -> "dict[str, NDArray[Any]]":
    """Read the arrays of an .npz file, once their headers claim no more than the file holds.

    Raises:
        OSError: It is no regular file, or can't be read.
        ValueError: An array claims more numbers than are there, or all of them are too large, or
            holds text that is none.
        BadZipFile: It is no archive.
    """
    check_regular(path)
    import numpy as np

    with ZipFile(path) as archive:
        if len(archive.infolist()) > MOST_MEMBERS:
            raise ValueError(f"{len(archive.infolist()):,} arrays, at most {MOST_MEMBERS:,}")
        unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > most:
            raise ValueError(f"{unpacked:,} bytes unpacked, at most {most:,} are read")
        for member in archive.infolist():
            with archive.open(member) as stream:
                _check_claim(stream, member.file_size, member.filename)
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    for name, array in found.items():
        if array.dtype.kind == "U":
            _check_text(array, name)
    return found


def _check_text(array: "NDArray[Any]", name: str) -> None:
    """Refuse letters that Unicode has not: Python would fail where they are shown."""
    import numpy as np

    native = array.astype(array.dtype.newbyteorder("="))
    letters = np.frombuffer(native.tobytes(), np.uint32)
    if letters.max(initial=0) > sys.maxunicode:
        raise ValueError(f"{name} holds text that is no Unicode")


def _check_claim(stream: Any, size: int, name: str) -> None:
    """Refuse an array whose header tells of more bytes than its file has."""
    from math import prod

    from numpy.lib import format as npy

    version = npy.read_magic(stream)
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"{name}: array format {version} is not known")
    shape, _, dtype = readers[version](stream)
    claimed, held = prod(shape) * dtype.itemsize, size - stream.tell()
    if min(shape, default=0) < 0 or claimed > held:
        raise ValueError(f"{name} claims {claimed:,} bytes and holds {held:,}")
