"""Weights in half precision, made a few layers at a time: one cast for each costs more launches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from vitbench.models.layers import Linear

TOGETHER = 8  # layers: those of two blocks, whose gradients are there when the blocks' are


@contextmanager
def weights_cast_together(module: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Let linear layers read weights of another type as long as the block; None: their own.

    Autocast does the same layer by layer: the numbers are equal.

    Args:
        module: Whose layers; a gradient reaches their own weights, in their own type.
        dtype: Of the weights that are read.
    """
    if dtype is None:
        yield
        return
    layers = [layer for layer in module.modules() if isinstance(layer, Linear)]
    for first in range(0, len(layers), TOGETHER):
        _lend(layers[first : first + TOGETHER], dtype)
    try:
        yield
    finally:
        for layer in layers:
            layer.lent = None


def _lend(layers: list[Linear], dtype: torch.dtype) -> None:
    own = [part for layer in layers for part in (layer.weight, layer.bias) if part is not None]
    run: Any = _Cast.apply
    cast = iter(run(dtype, *own))
    for layer in layers:
        layer.lent = (next(cast), None if layer.bias is None else next(cast))


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, dtype: torch.dtype, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.kind = tensors[0].dtype
        ctx.set_materialize_grads(False)  # a layer that is not used gets no gradient, not zeros
        return _cast(tensors, dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        cast = iter(_cast([each for each in gradients if each is not None], ctx.kind))
        return None, *(None if each is None else next(cast) for each in gradients)


def _cast(tensors: tuple[Tensor, ...] | list[Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    cast = tuple(torch.empty_like(tensor, dtype=dtype) for tensor in tensors)
    if cast:
        torch._foreach_copy_(cast, tensors)
    return cast
