"""The one door for files of strangers: how they are read, and what their parsers' failures become.

A parser can raise anything on a broken or hostile file. Here alone all of it is caught, and becomes
an error that names the file; so a bug of a library is a message too, with its traceback as cause.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from vitbench.bounds import LONGEST_MESSAGE
from vitbench.errors import DatasetError, VitbenchError

T = TypeVar("T")
A_NAME_A_LINE = "UTF-8 text, a name a line"
UNSPOKEN = (LookupError, TypeError, AttributeError, ArithmeticError)  # by themselves no sentence
NO_MEMORY = "it takes more memory than there is"
ADDRESS = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>")  # no two runs have it equal
AS_UTF8 = "save the file as UTF-8"


def read_bytes(path: Path, most: int) -> bytes:
    """Read a file of at most so many bytes.

    Raises:
        OSError: It is no regular file (a pipe, a device, a folder), or can't be read.
        ValueError: It is larger.
    """
    check_regular(path)  # opening a pipe would wait for ever
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size  # reading so many bytes takes memory for all
        if size > most:
            raise ValueError(f"larger than {most:,} bytes")
        return stream.read(size)


def read_text(path: Path, most: int) -> str:
    """Read a text file in UTF-8, with or without a byte order mark; raises as `read_bytes`."""
    return read_bytes(path, most).decode("utf-8-sig")


def check_regular(path: Path) -> None:
    """Refuse pipes, devices and folders, also behind links.

    Raises:
        OSError: It is one, or is not there.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("no regular file")


@contextmanager
def parsing(
    what: str,
    *,
    expected: str = "",
    hint: str = "restore the file",
    error: type[VitbenchError] = DatasetError,
) -> Iterator[None]:
    """Turn whatever a parser raises into one error.

    Args:
        what: The file, as the subject of a sentence: `the list 'a.txt'`.
        expected: What the file should have been.
        hint: What to do.
        error: Its kind.

    Raises:
        VitbenchError: Of the kind asked for; errors that are told already pass.
    """
    with refused_as(
        lambda found: error(
            f"{what} can't be read.", expected=expected, found=reason(found), hint=hint
        )
    ):
        yield


@contextmanager
def refused_as(refusal: Callable[[Exception], VitbenchError]) -> Iterator[None]:
    """Turn whatever a parser raises into the error that a function makes of it."""
    try:
        yield
    except VitbenchError:
        raise
    except Exception as found:
        raise refusal(found) from found


def unless_broken(read: Callable[[], T]) -> T | None:
    """Return what can be read; None where it can't: the caller has another way to it."""
    try:
        with parsing("the file"):
            return read()
    except VitbenchError:
        return None


def reason(error: Exception) -> str:
    """Say in a line why something could not be read."""
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    if isinstance(error, UNSPOKEN):
        said = f"{type(error).__name__}: {said}"
    line = " ".join(ADDRESS.sub("", str(said)).split())
    return line if len(line) <= LONGEST_MESSAGE else f"{line[:LONGEST_MESSAGE]}…"
