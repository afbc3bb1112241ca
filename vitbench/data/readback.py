"""Tensors from a device, in copies that are waited for only where they are read."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")


class Fetched:
    """A tensor on its way to the host."""

    def __init__(self, tensor: Tensor) -> None:
        self._there: Any = None
        on_cuda = tensor.device.type == "cuda"  # elsewhere nothing tells when a copy is there
        self._host = tensor.detach().to("cpu", non_blocking=on_cuda)
        if on_cuda:
            self._there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._there.record()

    def numpy(self) -> NDArray[Any]:
        """Return the values, as soon as they are there."""
        if self._there is not None:
            self._there.synchronize()
        array: NDArray[Any] = self._host.numpy()
        return array


def one_behind(items: Iterable[T]) -> Iterator[T]:
    """Yield items, each when the next one is made: a device works on that meanwhile."""
    waiting: list[T] = []
    for item in items:
        yield from waiting
        waiting = [item]
    yield from waiting
