"""Several processes as one: who I am, and reductions that do nothing when I am alone.

Started by `torchrun`, a command finds its place here; every function also works on one process.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from vitbench.errors import SettingError, VitbenchError
from vitbench.freed_memory import keep_freed_memory

if TYPE_CHECKING:
    import torch

DEVICES = "auto, cpu, cuda, cuda:N"
TIMEOUT_MINUTES = 30.0
K = TypeVar("K")
T = TypeVar("T")


def rank() -> int:
    """Return this process's number, 0 for the first or only one."""
    group = _group()
    return int(group.get_rank()) if group else 0


def world_size() -> int:
    """Return how many processes share the work."""
    group = _group()
    return int(group.get_world_size()) if group else 1


def is_main() -> bool:
    """Tell whether this process writes the files and prints."""
    return rank() == 0


def cores_of_a_process() -> int:
    """Return this machine's cores, divided by the processes that torchrun has started on it."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


@contextmanager
def process_group(timeout_minutes: float = TIMEOUT_MINUTES) -> Iterator[None]:
    """Join the processes that `torchrun` started, and leave at the end; alone, do nothing.

    Tensors on a CPU are exchanged by gloo, those on a GPU by NCCL, whichever device is chosen.

    Args:
        timeout_minutes: How long processes wait for one another, such as for the main process
            while it alone reads, scores or writes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or _group():
        yield
        return
    import torch
    import torch.distributed as dist

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if place < gpus:
        torch.cuda.set_device(place)
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if gpus else "gloo", timeout=timedelta(minutes=timeout_minutes)
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def find_device(name: str) -> "torch.device":
    """Return where this process computes; for a CPU, it keeps the memory that it frees.

    Args:
        name: `auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:N`, or `mps` on a Mac.

    Raises:
        SettingError: There is no such device.
    """
    import torch

    here = _devices()
    if name == "auto":
        name = "cuda" if "cuda" in here else "cpu"
    if name not in here:
        raise SettingError(
            [f"no device {name!r}"],
            expected=f"{DEVICES}, mps" if "mps" in here else DEVICES,
            found=_gpus(),
            hint=f"--device {here[0]}",
        )
    device = torch.device(name)
    try:
        if name == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise SettingError(
            [f"device {name!r} can't be used"],
            expected="a device that is free and has memory left",
            found=str(error).splitlines()[0],
            hint="--device cpu",
        ) from error
    if device.type == "cpu":
        keep_freed_memory()
    return device


def _devices() -> list[str]:
    """Return the names of this machine's devices, the fastest first."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = ["cuda", *(f"cuda:{number}" for number in range(gpus))] if gpus else []
    return [*named, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def _gpus() -> str:
    """Return, as text, which GPUs PyTorch sees, or why it sees none."""
    import torch

    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        return f"{count} GPU{'s' if count > 1 else ''}, cuda:0 is a {torch.cuda.get_device_name(0)}"
    if torch.version.cuda is None and torch.version.hip is None:
        return f"no GPU that PyTorch {torch.__version__} can use: it was built for CPUs"
    return "no GPU that PyTorch can see (nvidia-smi shows them, CUDA_VISIBLE_DEVICES hides them)"


def barrier() -> None:
    """Wait until every process is here."""
    if group := _group():
        group.barrier()


def sum_over_processes(tensor: "torch.Tensor") -> "torch.Tensor":
    """Add a tensor over all processes, in place, and return it. No gradient flows through."""
    if group := _group():
        group.all_reduce(tensor)
    return tensor


def largest(*numbers: int) -> tuple[int, ...]:
    """Return the largest of every process's numbers, one by one; no device is waited for."""
    if not (group := _group()):
        return numbers
    import torch

    found = torch.tensor(numbers)
    group.all_reduce(found, op=group.ReduceOp.MAX)
    return tuple(found.tolist())


def gather_rows(tensor: "torch.Tensor") -> "torch.Tensor":
    """Put the rows of all processes behind one another, in the order of their ranks.

    No gradient flows through; every process has equally many rows.
    """
    if not (group := _group()):
        return tensor
    import torch

    found = [torch.empty_like(tensor) for _ in range(world_size())]
    group.all_gather(found, tensor.contiguous())
    return torch.cat(found)


def gather(values: T) -> list[T]:
    """Return every process's value, in the order of their ranks. Values must be picklable."""
    if not (group := _group()):
        return [values]
    found: list[Any] = [None] * world_size()
    group.all_gather_object(found, values)
    return found


def gather_on_main(values: T) -> list[T] | None:
    """Return every process's value on the main process, in the order of ranks; else None."""
    if not (group := _group()):
        return [values]
    found: list[Any] | None = [None] * world_size() if is_main() else None
    group.gather_object(values, found, dst=0)
    return found


def merge_on_main(parts: Mapping[K, T]) -> dict[K, T]:
    """Return the entries of every process on the main process, later ranks last; elsewhere none.

    What nobody else needs is sent to the main process alone: it may be large.
    """
    return {key: value for part in gather_on_main(parts) or () for key, value in part.items()}


def from_main(value: T) -> T:
    """Return the main process's value on every process."""
    if not (group := _group()):
        return value
    box = [value]
    group.broadcast_object_list(box, src=0)
    return box[0]


def compute_on_main(work: Callable[[], T]) -> T:
    """Return what a function gives on the main process, on every process; the others wait.

    Raises:
        VitbenchError: What it raised there, on every process.
    """
    if not _group():
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


def _group() -> ModuleType | None:
    """Return `torch.distributed` if this process has joined others: never before it is imported."""
    dist = sys.modules.get("torch.distributed")
    return dist if dist and dist.is_available() and dist.is_initialized() else None
