"""Pickles of plain data, read without running anything that they name.

Ground truth of some public datasets is a pickle of lists, numbers, strings and NumPy arrays. Only
these are made of it: the few names of NumPy that an array's pickle needs stand for classes of this
file, which store what they are given; any other name is refused.
"""

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vitbench.bounds import LARGEST_DOCUMENT
from vitbench.outside_files import parsing, read_bytes

NUMBERS = frozenset("iufb")  # kinds of dtype that are read from bytes


@dataclass
class _DType:
    """A pickled `numpy.dtype`: its code, and the byte order of its state."""

    code: str = ""
    state: tuple[Any, ...] = ()

    def __init__(self, code: str = "", *_: Any) -> None:
        self.code, self.state = code, ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def whole(self) -> "np.dtype[Any]":
        order = self.state[1] if len(self.state) > 1 else "="
        found = np.dtype(self.code)
        if found.kind not in NUMBERS:
            raise ValueError(f"an array of {self.code!r}")
        return found.newbyteorder(">") if order == ">" else found


@dataclass
class _Array:
    """A pickled `numpy.ndarray`: the state that would fill it."""

    state: tuple[Any, ...] = field(default=())

    def __init__(self, *_: Any) -> None:
        self.state = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def whole(self) -> Any:
        _, shape, dtype, fortran, data = self.state
        if isinstance(data, list):  # an array of objects
            return [plain(item) for item in data]
        flat = np.frombuffer(data, dtype.whole())
        return flat.reshape(shape, order="F" if fortran else "C")


class _Scalar:
    """A pickled NumPy number."""

    def __init__(self, dtype: _DType, data: bytes = b"") -> None:
        self._dtype, self._data = dtype, data

    def whole(self) -> Any:
        return np.frombuffer(self._data, self._dtype.whole())[0].item()


def _of_buffer(
    data: bytes | bytearray, dtype: _DType, shape: tuple[int, ...], order: str
) -> _Array:
    found = _Array()
    found.state = (1, shape, dtype, order == "F", bytes(data))
    return found


def _no_bytes() -> bytes:
    return b""


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin1")


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _DType,
    ("numpy", "ndarray"): _Array,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
    ("numpy._core.numeric", "_frombuffer"): _of_buffer,
    ("numpy.core.numeric", "_frombuffer"): _of_buffer,
}


class _Unpickler(pickle._Unpickler):
    """The one in Python: that in C takes memory for as many memos as a file numbers."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which would be run")
        return _NAMES[module, name]


def plain(value: Any) -> Any:
    """Return a value with arrays in the place of what stood for them."""
    if isinstance(value, _Array | _Scalar):
        return value.whole()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bytes | int | float | bool):
        return value
    raise ValueError(f"a {type(value).__name__}")


def read_plain_pickle(path: Path) -> Any:
    """Read lists, dictionaries, numbers, strings and arrays of numbers from a pickle.

    Raises:
        DatasetError: The file can't be read, or holds or names anything else.
    """
    with parsing(
        f"the pickle {str(path)!r}",
        expected="a pickle of lists, numbers, strings and NumPy arrays of numbers",
        hint="write its content as JSON beside it, with the suffix .json",
    ):
        content = io.BytesIO(read_bytes(path, LARGEST_DOCUMENT))
        return plain(_Unpickler(content, encoding="latin1").load())
