"""The attention of a network of any code, seen while it runs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode


class _LastAttention(TorchFunctionMode):
    """Remembers query, key, mask and scale of the last attention among several queries."""

    def __init__(self) -> None:
        super().__init__()
        self.found: tuple[Tensor, Tensor, Tensor | None, float | None] | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func is scaled_dot_product_attention:
            query, key = args[0], args[1]
            if query.shape[-2] > 1:  # a pooling layer has one query
                mask = given.get("attn_mask", args[3] if len(args) > 3 else None)
                self.found = (query, key, mask, given.get("scale"))
        return func(*args, **given)


def last_attention(run: Callable[[], object], tokens: int) -> Tensor | None:
    """Return the softmaxed attention of the last layer that attends, (B, heads, T, T).

    Args:
        run: Runs the network, whose attention is PyTorch's `scaled_dot_product_attention`.
        tokens: T, of the whole image.

    Returns:
        None if the last attention is not among so many tokens, or there is none.
    """
    with _LastAttention() as seen:
        run()
    if seen.found is None:
        return None
    query, key, mask, scale = seen.found
    if query.ndim != 4 or query.shape[-2] != tokens or key.shape[-2] != tokens:
        return None
    logits = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    if mask is not None:
        logits = (
            logits.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else logits + mask
        )
    found: Tensor = logits.softmax(dim=-1)
    return found


def fuse(network: nn.Module, *, fused: bool = True) -> None:
    """Let every attention of a network of timm be PyTorch's, which can be seen, or be written out.

    Written out, it keeps a matrix of all tokens by all tokens.
    """
    module: Any
    for module in network.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = fused
