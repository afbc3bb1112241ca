"""The order of training images, drawn by epoch, and the share of each process."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from vitbench.data.image_files import Images
from vitbench.data.sizes import Pixels
from vitbench.data.tar_files import Encoded
from vitbench.keyed_random import permutation


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that may fill a slot in a batch."""

    index: int  # its position in the set, or another number that stands for it
    name: str
    read: Callable[[], Pixels]  # raises CorruptImage
    encoded: Callable[[], Encoded]  # likewise


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot in a batch: the first candidate that decodes fills it."""

    key: int  # the address of its draws
    candidates: Iterable[Candidate]


@dataclass(frozen=True, slots=True)
class RankSlice:
    """The part of every batch that one process makes: consecutive slots."""

    seed: int
    batch_size: int  # over all processes
    rank: int
    processes: int

    @property
    def slots(self) -> slice:
        """Its slots in the whole batch."""
        each = self.batch_size // self.processes
        return slice(self.rank * each, (self.rank + 1) * each)


class Source(Protocol):
    """Gives the slots of each batch; the same ones whatever the number of processes."""

    def __len__(self) -> int: ...

    def batches(
        self, rank_slice: RankSlice, *, epoch: int, first_step: int
    ) -> Iterator[list[Slot]]:
        """Yield a process's slots of each batch of an epoch, from a step on."""


class ShuffledImages:
    """A set that can be read at any position, in a new order each epoch."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def batches(
        self, rank_slice: RankSlice, *, epoch: int, first_step: int
    ) -> Iterator[list[Slot]]:
        """Yield a process's slots of each batch of an epoch, from a step on."""
        order = permutation(rank_slice.seed, "order", epoch, length=len(self))
        for step in range(first_step, len(self) // rank_slice.batch_size):
            whole = order[step * rank_slice.batch_size : (step + 1) * rank_slice.batch_size]
            yield [Slot(index, self._from(index)) for index in whole[rank_slice.slots].tolist()]

    def _from(self, index: int) -> Iterator[Candidate]:
        """Go through the set from a position on."""
        for offset in range(len(self)):
            position = (index + offset) % len(self)
            name = self._images.ids[position]
            yield Candidate(
                position,
                name,
                read=partial(self._images.read, position),
                encoded=partial(self._images.encoded, position),
            )
