"""The rows of an unfinished pass: a file of its own for each process, put together by one.

So nothing is written twice or side by side by two machines, and a killed pass goes on where it
stopped, with any number of processes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]


class Part:
    """The file of one process: rows, batch after batch as they came, and which batches they are."""

    def __init__(self, rows: IO[bytes], journal: IO[str]) -> None:
        self._rows, self._journal = rows, journal

    def add(self, batch: int, rows: Rows) -> None:
        """Append the rows of a batch."""
        self._rows.write(np.ascontiguousarray(rows, np.float32).tobytes())
        self._rows.flush()
        self._journal.write(f"{batch}\n")  # only now does the batch count
        self._journal.flush()


@dataclass(frozen=True, slots=True)
class Parts:
    """All files of a pass.

    Args:
        store: Their folder.
        tag: Of the pass; another one has other batches or outputs.
        widths: Of each output; a row has them side by side.
        sizes: Rows of each batch.
    """

    store: Path
    tag: str
    widths: Sequence[int]
    sizes: Sequence[int]

    def next_number(self) -> int:
        """Return the first number that no file has."""
        return 1 + max(self._numbers(), default=-1)

    def done(self) -> set[int]:
        """Return the batches that are in files."""
        return {batch for number in self._numbers() for batch, _ in self._read(number)}

    @contextmanager
    def part(self, number: int) -> Iterator[Part]:
        """Open a new file; it is on the disk when the block ends."""
        with self._rows(number).open("wb") as rows, self._journal(number).open("w") as journal:
            yield Part(rows, journal)
            for stream in (rows, journal):
                stream.flush()
                os.fsync(stream.fileno())

    def merge(self, arrays: Sequence[Path]) -> None:
        """Write one array for each output, with the rows of all batches, and remove the files."""
        starts = np.cumsum([0, *self.sizes])
        columns = np.cumsum([0, *self.widths])
        temporary = [path.with_name(f"{path.name}.{self.tag}.part") for path in arrays]
        whole = [
            np.lib.format.open_memmap(
                path, mode="w+", dtype=np.float32, shape=(int(starts[-1]), width)
            )
            for path, width in zip(temporary, self.widths, strict=True)
        ]
        numbers = self._numbers()
        for number in numbers:
            for batch, rows in self._read(number):
                for array, first, last in zip(whole, columns, columns[1:], strict=False):
                    array[starts[batch] : starts[batch + 1]] = rows[:, first:last]
        for array, path, target in zip(whole, temporary, arrays, strict=True):
            array.flush()
            path.replace(target)
        for number in numbers:
            self._rows(number).unlink()
            self._journal(number).unlink()

    def _read(self, number: int) -> Iterator[tuple[int, Rows]]:
        """Yield the batches of a file that are whole."""
        lines = self._journal(number).read_text().split("\n")[:-1]  # the last one may be cut
        batches = [int(line) for line in lines]
        ends = np.cumsum([0, *(self.sizes[batch] for batch in batches)])
        there = self._rows(number).stat().st_size // (4 * sum(self.widths))
        if not there:
            return
        rows = np.memmap(self._rows(number), np.float32, "r", shape=(there, sum(self.widths)))
        for batch, first, last in zip(batches, ends, ends[1:], strict=False):
            if last <= there:
                yield batch, rows[first:last]

    def _numbers(self) -> list[int]:
        found = self.store.glob(f"journal.{self.tag}.*.part")
        return sorted(int(path.name.split(".")[2]) for path in found)

    def _rows(self, number: int) -> Path:
        return self.store / f"rows.{self.tag}.{number}.part"

    def _journal(self, number: int) -> Path:
        return self.store / f"journal.{self.tag}.{number}.part"
