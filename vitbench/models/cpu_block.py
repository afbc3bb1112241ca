"""A transformer block for evaluation on a CPU: the same mathematics on faster kernels.

Products go to oneDNN, which also applies GELU while they are in cache; weights in bfloat16 are
kept; attention is computed as products too where PyTorch's own kernel is slower.
"""

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

from vitbench.models.constants import Activation
from vitbench.models.linear import FUSED, ONEDNN, product

LONG = 512  # tokens from which attention goes head by head, a few queries at a time
QUERIES = 512  # rows of one head's attention held at once; a few MB, so that they stay in cache
_CASTS: MutableMapping[Tensor, tuple[tuple[int, int], Tensor]] = WeakTensorKeyDictionary()


def usable(tokens: Tensor) -> bool:
    """Whether these tokens can take this way: evaluation in float32 or bfloat16 on a CPU."""
    return (
        tokens.device.type == "cpu"
        and tokens.dtype == torch.float32
        and not torch.is_grad_enabled()
        and ONEDNN
        and _precision() in (torch.float32, torch.bfloat16)
    )


def run_block(block: Any, tokens: Tensor, activation: Activation = "gelu") -> Tensor:
    """Apply one of timm's blocks, whose MLP has this activation, to tokens (B, T, D); evaluation.

    The residual stream stays float32. Products are float32, or bfloat16 under `torch.autocast`.
    """
    dtype = _precision()
    fused = activation if activation in FUSED else "none"
    with torch.autocast("cpu", enabled=False):
        inner = _linear(block.norm1(tokens).to(dtype), block.attn.qkv)
        inner = _attention(inner, block.attn.num_heads)
        tokens = tokens + block.ls1(_linear(inner, block.attn.proj))
        inner = _linear(block.norm2(tokens).to(dtype), block.mlp.fc1, fused)
        inner = inner if fused == activation else block.mlp.act(inner)
        out: Tensor = tokens + block.ls2(_linear(inner, block.mlp.fc2))
    return out


def _precision() -> torch.dtype:
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


def _linear(x: Tensor, layer: Any, activation: str = "none") -> Tensor:
    bias = None if layer.bias is None else _cast(layer.bias, x.dtype)
    return product(x, _cast(layer.weight, x.dtype), bias, activation)


def _attention(qkv: Tensor, heads: int) -> Tensor:
    """Attend: joint projections (B, T, 3 D) to (B, T, D)."""
    B, T, width = qkv.shape
    parts: Tensor = qkv.view(B, T, 3, heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = parts[0], parts[1], parts[2]  # each (B, heads, T, d)
    if T < LONG and qkv.dtype == torch.float32:
        mixed: Tensor = functional.scaled_dot_product_attention(query, key, value)
        return mixed.transpose(1, 2).reshape(B, T, -1)
    query = query * query.shape[-1] ** -0.5
    if T < LONG:
        mixed = (query @ key.transpose(-2, -1)).softmax(dim=-1) @ value
        return mixed.transpose(1, 2).reshape(B, T, -1)
    out: Tensor = qkv.new_empty(B, T, heads, width // 3 // heads)
    for image in range(B):
        for head in range(heads):
            keys = key[image, head].contiguous()
            values = value[image, head].t().contiguous()
            for first in range(0, T, QUERIES):
                rows = slice(first, first + QUERIES)
                share = product(query[image, head, rows], keys)  # (queries, T)
                torch.softmax(share, dim=-1, out=share)
                out[image, rows, head] = product(share, values)
    return out.flatten(2)


def _cast(parameter: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a parameter in another precision, from memory while its state is the same.

    One that is trained is never kept: fused optimizers write without telling.
    """
    if parameter.dtype == dtype or parameter.is_inference() or parameter.requires_grad:
        return parameter.to(dtype)
    state = (parameter._version, parameter.data_ptr())  # changes with every write or move
    kept = _CASTS.get(parameter)
    if kept is None or kept[0] != state:
        with torch.inference_mode(mode=False):
            kept = (state, parameter.detach().to(dtype))
        _CASTS[parameter] = kept
    return kept[1]
