"""Gradients of a limited norm, each parameter's or all together, in a handful of launches."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vitbench.data.upload import send
from vitbench.training.sharding import norms, own_part, with_part

EPS = 1e-6  # keeps the division by a gradient's norm finite
ROW = 64  # values that lie together and have one factor


@torch.no_grad()
def clip_together(parameters: Iterable[Tensor], limit: float) -> None:
    """Clip the norm of all gradients together, in place, without waiting for the device.

    Args:
        parameters: Those without a gradient are left out.
        limit: Largest norm.
    """
    gradients = [each.grad for each in parameters if each.grad is not None]
    if gradients:
        norm = norms(gradients).norm()
        parts = [own_part(each) for each in gradients]
        torch._foreach_mul_(parts, (limit / (norm + EPS)).clamp(max=1.0))


@torch.no_grad()
def clip_each(parameters: Iterable[Tensor], limit: float) -> None:
    """Clip the norm of each parameter's gradient, without waiting for the device.

    The gradients become parts of one tensor, whose rows are multiplied by their own factors at
    once: a product for each parameter costs a GPU a third of the launches of a whole step.

    Args:
        parameters: Those without a gradient are left out.
        limit: Largest norm.

    Source:
        facebookresearch/dino, utils.py, clip_gradients (7c446df).
    """
    trained = [each for each in parameters if each.grad is not None]
    whole = [each.grad for each in trained if each.grad is not None]
    if not whole:
        return
    factors = (limit / (norms(whole) + EPS)).clamp_(max=1.0)
    gradients = [own_part(each) for each in whole]
    sizes = tuple(gradient.numel() for gradient in gradients)
    gap = gradients[0].new_empty(ROW)
    pieces = [piece for each in gradients for piece in (each.flatten(), gap[: -each.numel() % ROW])]
    flat = torch.cat([piece for piece in pieces if len(piece)])
    flat.view(-1, ROW).mul_(factors[_owners(sizes, flat.device)][:, None])
    lengths = [-(-size // ROW) * ROW for size in sizes]
    rows = torch.split(flat, lengths)
    clipped = [
        part[: each.numel()].view_as(each) for part, each in zip(rows, gradients, strict=True)
    ]
    for parameter, gradient in zip(trained, clipped, strict=True):
        parameter.grad = with_part(parameter, gradient)


@lru_cache(maxsize=8)  # a run has one or two: heads wait in the first epochs
def _owners(sizes: tuple[int, ...], device: torch.device) -> Tensor:
    """Return which gradient each row belongs to."""
    rows = [-(-size // ROW) for size in sizes]
    return send(np.repeat(np.arange(len(sizes)), rows), device)
