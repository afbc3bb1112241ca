"""Errors of memory and disk that ran out, told apart from faults of the code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vitbench.errors import TrainingError

MEMORY = ("allocate memory", "_ALLOC_FAILED")  # of PyTorch on a CPU; of cuBLAS and cuDNN


def memory_ran_out(error: Exception) -> bool:
    """Tell whether an error means that memory ran out, of a GPU or of the machine."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in MEMORY)


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def writing(what: str, folder: Path, *, hint: str = "") -> Iterator[None]:
    """Name a file that can't be written: a full disk, a folder that is read-only or none.

    Args:
        what: What is written, as a noun.
        folder: Where.
        hint: How to go on; left out, from the last snapshot.

    Raises:
        TrainingError: It can't be written.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # RuntimeError: PyTorch's writer of archives
        raise TrainingError(
            f"{what} could not be written to {str(folder)!r}.",
            expected="a folder with room that can be written",
            found=str(error),
            hint=hint or "make room there; the same command goes on from the last snapshot",
        ) from error
