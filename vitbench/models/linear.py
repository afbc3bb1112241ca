"""The linear layer of our networks: PyTorch's, but on a CPU float32 products go to oneDNN.

PyTorch sends them to MKL, which leaves half the speed of other makers' CPUs unused. oneDNN comes
with PyTorch too, and computes all else there already.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

# what oneDNN applies while a product is in cache: our name -> its name and algorithm
FUSED = {"none": ("none", ""), "gelu": ("gelu", "none"), "gelu_tanh": ("gelu", "tanh")}
ONEDNN: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]


class Linear(nn.Linear):
    """A linear layer; see `linear`."""

    lent: tuple[Tensor, Tensor | None] | None = None  # weight and bias to read instead of its own

    def forward(self, x: Tensor) -> Tensor:
        """Map x (..., n) to (..., m)."""
        weight, bias = self.lent or (self.weight, self.bias)
        return linear(x, weight, bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return x (..., n) times weight (m, n) transposed, plus bias (m), with gradients."""
    if _usable(x, weight):
        # of rows: what a Function returns as a view can't be changed in place, as some ReLUs do
        out: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
            x.flatten(0, -2), weight, bias
        )
        return out.view(*x.shape[:-1], -1)
    return functional.linear(x, weight, bias)


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None, act: str = "none") -> Tensor:
    """Return the same by oneDNN, followed by an activation; without gradients.

    Args:
        x: Inputs (..., n).
        weight: Weights (m, n).
        bias: Biases (m), or None.
        act: "none", "gelu" (exact) or "gelu_tanh".
    """
    name, algorithm = FUSED[act]
    compute: Callable[..., Tensor] = torch.ops.mkldnn._linear_pointwise
    return compute(x, weight, bias, name, [], algorithm)


def put_linear_layers(module: nn.Module) -> None:
    """Put ours in the place of every `nn.Linear` below a module on the meta device."""
    for name, child in list(module.named_children()):
        if type(child) is nn.Linear:
            has_bias = child.bias is not None
            ours = Linear(child.in_features, child.out_features, has_bias, device="meta")
            setattr(module, name, ours)
        else:
            put_linear_layers(child)


def _usable(x: Tensor, weight: Tensor) -> bool:
    return (
        ONEDNN
        and x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        to_x, to_weight, to_bias = ctx.needs_input_grad
        rows = grad.flatten(0, -2)
        return (
            product(rows, weight.t()).view(x.shape) if to_x else None,
            product(rows.t(), x.flatten(0, -2).t()) if to_weight else None,
            rows.sum(0) if to_bias else None,
        )
