"""Many arrays to a device in one copy that nobody waits for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ALIGNED = 64  # bytes: every array starts at a multiple


class Parcel:
    """Arrays in one block of memory, pinned where a CUDA device is to get it.

    Args:
        arrays: What to send.
        empty: Types and shapes of arrays that the sender fills through `parcel[name]`.
        device: Who gets it.
    """

    def __init__(
        self,
        arrays: Mapping[str, NDArray[Any]],
        device: torch.device,
        *,
        empty: Mapping[str, tuple[Any, tuple[int, ...]]] = MappingProxyType({}),
    ) -> None:
        kinds = {name: (array.dtype, array.shape) for name, array in arrays.items()}
        self._device, self._places, at = device, {}, 0
        for name, (kind, shape) in {**kinds, **empty}.items():
            size = int(np.prod(shape)) * np.dtype(kind).itemsize
            self._places[name] = (slice(at, at + size), np.dtype(kind), shape)
            at += -(-size // ALIGNED) * ALIGNED
        self._block = torch.empty(at, dtype=torch.uint8, pin_memory=device.type == "cuda")
        self._bytes: NDArray[np.uint8] = self._block.numpy()
        for name, array in arrays.items():
            self[name][...] = array

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return an array as it lies in the block."""
        part, kind, shape = self._places[name]
        array: NDArray[Any] = self._bytes[part].view(kind).reshape(shape)
        return array

    def send(self) -> dict[str, Tensor]:
        """Return all arrays on the device."""
        block = self._block.to(self._device, non_blocking=True)
        return {
            name: block[part].view(torch.from_numpy(np.empty(0, kind)).dtype).view(shape)
            for name, (part, kind, shape) in self._places.items()
        }


def send(
    values: NDArray[Any] | Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """Return values on a device; those of the host are on their way there, it does not wait."""
    tensor = (values if isinstance(values, Tensor) else torch.from_numpy(values)).to(dtype)
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)
