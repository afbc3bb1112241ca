"""A CUDA device that is not there: fake tensors on a fake `cuda`, in a process of its own.

Fake tensors have shapes, types and devices, no values. They refuse to mix devices, and the CUDA
runtime that autograd asks for is a stub of a few functions.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn import functional
from torch.utils._python_dispatch import _disable_current_modes

from tests.cuda_path.counting import Counts

STUB = Path(__file__).with_name("stub.c")
KINDS = {"libfakecudart.so": [], "libcuda.so.1": ["-DDRIVER", "-Wl,-soname,libcuda.so.1"]}
plain_attention = functional.scaled_dot_product_attention
aten: Any = torch.ops.aten
library: Any = torch._C
BUILT: bool = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]


def why_not() -> str:
    """Say why there can be no fake device here; empty if there can."""
    if torch.cuda.is_available():
        return "a real CUDA device is here, and the tests marked gpu"
    if BUILT and shutil.which("cc") is None:
        return "the CUDA path is tested with a stub that wants a C compiler (cc), and there is none"
    return ""


def environment(folder: Path) -> dict[str, str]:
    """Compile the stub into a folder; return the environment of a process that runs on it."""
    if not BUILT:
        return dict(os.environ)
    for name, words in KINDS.items():
        command = ["cc", "-shared", "-fPIC", *words, "-o", str(folder / name), str(STUB)]
        subprocess.run(command, check=True)
    return {
        **os.environ,
        "LD_PRELOAD": str(folder / "libfakecudart.so"),
        "LD_LIBRARY_PATH": str(folder),
    }


@contextmanager
def fake_cuda(*, lines: bool = False) -> Iterator[Counts]:
    """Let `cuda` be a fake device as long as the block, and count what it would have to do."""
    with ExitStack() as stack:
        for target, name, stand_in in _stand_ins():
            stack.enter_context(patch.object(target, name, stand_in, create=True))
        stack.enter_context(torch.autograd.set_multithreading_enabled(False))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        counts = Counts(lines=lines)
        stack.enter_context(patch.object(FakeTensor, "tolist", _tolist(counts), create=True))
        stack.enter_context(counts)
        yield counts


def _stand_ins() -> list[tuple[Any, str, Any]]:
    """Return what has to be replaced: object, name, by what."""
    plain_empty = torch.empty

    def empty(*size: Any, pin_memory: bool = False, **how: Any) -> Tensor:
        return plain_empty(*size, **how)

    return [
        (FakeTensorMode, "avoid_device_init", property(lambda _: True)),
        (FakeTensor, "numpy", _numpy),
        (
            FakeTensor,
            "__deepcopy__",
            lambda own, memo: memo.setdefault(id(own), own.detach().clone()),
        ),
        (nn.Module, "_apply", _apply),
        (
            nn.init,
            "_no_grad_trunc_normal_",
            lambda tensor, *_a, **_k: tensor,
        ),  # draws until all fit
        (torch, "empty", empty),
        (torch.Tensor, "pin_memory", lambda own, *_: own),
        (torch.Tensor, "record_stream", lambda *_: None),
        (torch._C, "_select_conv_backend", lambda *_a, **_k: library._ConvBackend.Cudnn),
        (torch._C, "_conv_determine_backend_memory_format", lambda *_: torch.contiguous_format),
        (functional, "scaled_dot_product_attention", _attention),
        (torch.cuda, "Event", _Event),
        (torch.cuda, "mem_get_info", lambda *_: (70 << 30, 80 << 30)),
        (torch.cuda, "is_available", lambda: True),
        (torch.cuda, "current_device", lambda: 0),
        (torch.cuda, "is_bf16_supported", lambda *_a, **_k: True),
        (torch.cuda, "is_current_stream_capturing", lambda: False),
    ]


def real(make: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose tensors have values: for what the host computes."""

    def call(*values: Any, **named: Any) -> Any:
        with _disable_current_modes():
            return make(*values, **named)

    return call


def _apply(
    module: nn.Module, change: Callable[[Tensor], Tensor], recurse: bool = True
) -> nn.Module:
    """Move a module's tensors, as `nn.Module._apply` does for real ones."""
    for part in module.modules():
        for name, parameter in list(part._parameters.items()):
            if parameter is not None:
                with torch.no_grad():
                    moved = change(parameter.detach())
                if moved is not parameter:
                    part._parameters[name] = nn.Parameter(moved.detach(), parameter.requires_grad)
        for name, buffer in list(part._buffers.items()):
            if buffer is not None:
                part._buffers[name] = change(buffer)
    return module


def _attention(
    query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None,
    dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, **_more: Any,
) -> Tensor:  # fmt: skip
    """Attend as a GPU would: flash attention for half types, the efficient kernel with a bias."""
    if query.device.type != "cuda":
        return plain_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)
    query, key, value = (part[None] if part.ndim == 3 else part for part in (query, key, value))
    found: Tensor
    if attn_mask is None and query.dtype in (torch.bfloat16, torch.float16):
        flash = aten._scaled_dot_product_flash_attention
        found = flash(query, key, value, dropout_p, is_causal, scale=scale)[0]
        return found
    bias = attn_mask
    if bias is not None:
        bias = bias.expand(*query.shape[:3], key.shape[2])
    efficient = aten._scaled_dot_product_efficient_attention
    found = efficient(query, key, value, bias, True, dropout_p, is_causal, scale=scale)[0]
    return found


class _Event:
    """Says when a copy is there; what waits for it does not wait for the whole device."""

    def record(self) -> None: ...
    def synchronize(self) -> None: ...


def _numpy(tensor: Tensor, **_how: Any) -> NDArray[Any]:
    if tensor.device.type == "cuda":
        raise TypeError("a CUDA tensor has no numpy(); copy it to the CPU first")
    kind = str(tensor.dtype).split(".")[1].removeprefix("b")
    return np.zeros(tuple(tensor.shape), {"ool": "bool", "float16": "float32"}.get(kind, kind))


def _tolist(counts: Counts) -> Callable[[Tensor], Any]:
    def tolist(tensor: Tensor) -> Any:
        if tensor.device.type == "cuda":
            counts.sync("tolist")
        return np.zeros(
            tuple(tensor.shape), str(tensor.dtype).split(".")[1].replace("bfloat", "float")
        ).tolist()

    return tolist
