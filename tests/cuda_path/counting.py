"""Counts what a CUDA device would have to do: kernels, host syncs, blocking copies, peak memory.

Kernels are counted by a rule (one an operator that is no view; those of a `foreach` operator
by its tensors), so a count says which of two ways launches more, not what a profiler would show.
"""

import linecache
import math
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode

OURS = ("/vitbench/", "/vitbench_protocols/")
# tensors that one launch of a foreach operator takes of each of its 1, 2, … lists
TENSORS_A_LAUNCH = (0, 110, 64, 48, 36, 30)  # ATen/native/cuda/MultiTensorApply.cuh
ROWS = 7  # that a mask of unknown values is taken to choose
NO_KERNEL = {
    *("_reshape_alias", "_unsafe_view", "alias", "detach", "detach_", "empty", "empty_like"),
    *("empty_strided", "expand_as", "is_pinned", "lift_fresh", "lift_fresh_copy", "new_empty"),
    *("new_empty_strided", "record_stream", "resize_", "set_", "squeeze_", "sym_numel"),
    *("sym_size", "sym_storage_offset", "sym_stride", "t_", "transpose_", "unsqueeze_"),
}


def where() -> str:
    """Return the innermost line of ours that runs now."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        place = max(name.rfind(part) for part in OURS)
        if place >= 0 and "site-packages" not in name and "/tests/" not in name:
            line = linecache.getline(name, frame.f_lineno).strip()
            return f"{name[place + 1 :]}:{frame.f_lineno} {line[:70]}"
        frame = frame.f_back  # type: ignore[assignment]
    return "(autograd, or a library)"


def tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested arguments."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors(value)


def on_cuda(tensor: Tensor) -> bool:
    """Tell where a tensor lies, without asking by an operator."""
    device = tensor.fake_device if isinstance(tensor, FakeTensor) else tensor.device
    return device.type == "cuda"


class Counts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator; answers those that need values with what a run would likely have.

    Args:
        lines: Count kernels and bytes by line of ours too; takes time.
    """

    def __init__(self, *, lines: bool = False) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.by_line = lines
        self._live: dict[int, int] = {}  # bytes of each storage on the device
        self.now = 0
        self.clear()

    def clear(self) -> None:
        """Start counting anew; what lies on the device stays there."""
        self.kernels, self.peak = 0, self.now
        self.syncs: Counter[str] = Counter()
        self.copies: Counter[str] = Counter()  # to the device, that the host waits for
        self.kernels_of: Counter[str] = Counter()
        self.bytes_of: Counter[str] = Counter()

    @property
    def gigabytes(self) -> float:
        """What all operators read and wrote, if nothing stayed in a cache; needs `lines`."""
        return sum(self.bytes_of.values()) / 1e9

    def sync(self, kind: str) -> None:
        """Count one wait of the host for the device."""
        self.syncs[f"{kind:8s} {where()}"] += 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator."""
        kwargs = kwargs or {}
        if func is torch.ops.prim.device.default:
            return args[0].fake_device if isinstance(args[0], FakeTensor) else func(*args)
        if func._can_decompose():  # in inference mode, operators come whole
            with self:
                return func.decompose(*args, **kwargs)
        name = func._opname
        given = [*tensors(args), *tensors(kwargs.values())]
        cuda = any(map(on_cuda, given))
        special = getattr(self, f"op_{name}", None)
        found = None if special is None else special(args, cuda)
        if found is not None:
            return found
        out = func(*args, **kwargs)
        made = list(tensors([out]))
        if name in ("_to_copy", "copy_"):
            self._count_copy(name, args, kwargs, out)
        if cuda or any(map(on_cuda, made)):
            self._remember(made)
            if not (func.is_view or name in NO_KERNEL):
                self._count(name, args, [*given, *made])
        return out

    def _count(self, name: str, args: Any, touched: list[Tensor]) -> None:
        launches = 1
        if name.startswith("_fused"):  # parameters, gradients, two moments
            launches = math.ceil(len(args[0]) / TENSORS_A_LAUNCH[4])
        elif name.startswith("_foreach"):
            launches = _launches(args)
        self.kernels += launches
        if self.by_line:
            line = where()
            self.kernels_of[line] += launches
            self.bytes_of[line] += sum(map(_bytes, touched))

    def _remember(self, made: list[Tensor]) -> None:
        for tensor in filter(on_cuda, made):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in self._live:
                self._live[key] = size = storage.nbytes()
                self.now += size
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, key)

    def _gone(self, key: int) -> None:
        self.now -= self._live.pop(key, 0)

    def _count_copy(self, name: str, args: Any, kwargs: Any, out: Tensor) -> None:
        source, target = (args[0], out) if name == "_to_copy" else (args[1], args[0])
        waits = not (kwargs.get("non_blocking") or (len(args) > 2 and args[2]))
        if on_cuda(target) and not on_cuda(source) and waits:
            self.copies[where()] += 1
        if on_cuda(source) and not on_cuda(target) and waits:
            self.sync("to CPU")

    def op_is_nonzero(self, args: Any, cuda: bool) -> bool | None:
        if cuda:
            self.sync("bool")
        return True if isinstance(args[0], FakeTensor) else None

    def op__local_scalar_dense(self, args: Any, cuda: bool) -> bool | float | int | None:
        if cuda:
            self.sync("item")
        if not isinstance(args[0], FakeTensor):
            return None
        kind = args[0].dtype
        return True if kind == torch.bool else 1.0 if kind.is_floating_point else 1

    def op_nonzero(self, args: Any, cuda: bool) -> Tensor | None:
        if not isinstance(args[0], FakeTensor):
            return None
        if cuda:
            self.sync("nonzero")
            self.kernels += 4
        rows = max(1, min(ROWS, args[0].numel()))
        return args[0].new_zeros((rows, args[0].ndim), dtype=torch.long)

    def op__unique2(self, args: Any, cuda: bool) -> tuple[Tensor, Tensor, Tensor] | None:
        if not isinstance(args[0], FakeTensor):
            return None
        if cuda:
            self.sync("unique")
            self.kernels += 6
        numbers = torch.arange(args[0].numel(), device=args[0].device)  # all of them differ
        return args[0].flatten(), numbers.view(args[0].shape), torch.ones_like(numbers)

    def op_equal(self, args: Any, cuda: bool) -> bool | None:
        if cuda:
            self.sync("equal")
        return True if isinstance(args[0], FakeTensor) else None

    def op_nms(self, args: Any, cuda: bool) -> Tensor:
        if cuda:
            self.sync("nms")
            self.kernels += 3
        return torch.arange(min(ROWS, len(args[0])), device=args[0].device)

    def op_index(self, args: Any, cuda: bool) -> Tensor | None:
        masks = self._masks(args, cuda)
        if not masks or not isinstance(args[0], FakeTensor):
            return None
        places: list[Tensor | None] = []
        for index in args[1]:
            if index is None or index.dtype not in (torch.bool, torch.uint8):
                places.append(index)
            else:
                places += [
                    torch.zeros(max(1, min(ROWS, size)), dtype=torch.long, device=index.device)
                    for size in index.shape
                ]
        found: Tensor = torch.ops.aten.index.Tensor(args[0], places)
        return found

    def op_index_put_(self, args: Any, cuda: bool) -> None:
        self._masks(args, cuda)

    op_index_put = op_index_put_

    def _masks(self, args: Any, cuda: bool) -> bool:
        """Tell whether an index is a mask; its rows are known after a sync only."""
        indices = [index for index in args[1] if index is not None]
        masks = any(index.dtype in (torch.bool, torch.uint8) for index in indices)
        if cuda and masks:
            self.sync("mask")
        if cuda and not all(map(on_cuda, indices)):
            self.copies[f"index on the CPU {where()}"] += 1
        return masks


def _launches(args: Any) -> int:
    """Return the launches of a foreach operator: one a tensor, where lists do not match."""
    lists = [value for value in args if isinstance(value, list | tuple) and len(value)]
    lists = [value for value in lists if isinstance(value[0], Tensor)]
    first = lists[0]
    alike = all(
        one.shape == other.shape
        for each in lists[1:]
        if len(each) == len(first)
        for one, other in zip(first, each, strict=True)
    )
    return math.ceil(len(first) / TENSORS_A_LAUNCH[len(lists)]) if alike else len(first)


def _bytes(tensor: Tensor) -> int:
    """Return the bytes that an operator reads of a tensor; an expanded one is smaller."""
    sizes = (
        1 if not step else size for size, step in zip(tensor.shape, tensor.stride(), strict=True)
    )
    return math.prod(sizes) * tensor.element_size()
