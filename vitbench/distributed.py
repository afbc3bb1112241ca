"""Several processes as one: who I am, and reductions that do nothing when I am alone.

Started by `torchrun`, a command finds its place here; every function also works on one process.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from vitbench.errors import SettingError, VitbenchError

T = TypeVar("T")


def rank() -> int:
    """Return this process's number, 0 for the first or only one."""
    return dist.get_rank() if _started() else 0


def world_size() -> int:
    """Return how many processes share the work."""
    return dist.get_world_size() if _started() else 1


def is_main() -> bool:
    """Tell whether this process writes the files and prints."""
    return rank() == 0


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that `torchrun` started, and leave at the end; alone, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or _started():
        yield
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def find_device(name: str) -> torch.device:
    """Return where this process computes.

    Args:
        name: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU where there is one.

    Raises:
        SettingError: If there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if name == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise SettingError(
            [f"device {name!r} can't be used: {reason}"], hint="--device cpu"
        ) from error
    return device


def barrier() -> None:
    """Wait until every process is here."""
    if _started():
        dist.barrier()


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Add a tensor over all processes, in place, and return it. No gradient flows through."""
    if _started():
        dist.all_reduce(tensor)
    return tensor


def gather_rows(tensor: Tensor) -> Tensor:
    """Put the rows of all processes behind one another, in the order of their ranks.

    No gradient flows through; every process has equally many rows.
    """
    if not _started():
        return tensor
    found = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(found, tensor.contiguous())
    return torch.cat(found)


def gather(values: T) -> list[T]:
    """Return every process's value, in the order of their ranks. Values must be picklable."""
    if not _started():
        return [values]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, values)
    return found


def from_main(value: T) -> T:
    """Return the main process's value on every process."""
    if not _started():
        return value
    box = [value]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def compute_on_main(work: Callable[[], T]) -> T:
    """Return what a function gives on the main process, on every process; the others wait.

    Raises:
        VitbenchError: What it raised there, on every process.
    """
    if not _started():
        return work()
    found: T | VitbenchError | None = None
    if is_main():
        try:
            found = work()
        except VitbenchError as error:
            found = error
    found = from_main(found)
    if isinstance(found, VitbenchError):
        raise found
    return found  # type: ignore[return-value]


def share(items: Sequence[T]) -> Sequence[T]:
    """Return this process's part of the items: every `world_size`-th, no item twice."""
    return items[rank() :: world_size()]


def _started() -> bool:
    return dist.is_available() and dist.is_initialized()
