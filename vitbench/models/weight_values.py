"""Check that tensors can be weights: dense numbers, all stored, finite, not all zero."""

import torch
from torch import Tensor

from vitbench.errors import CheckpointError, listed
from vitbench.models.state_dict import State

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
FIRST = "patch_embed.proj.weight"


def check_dense(state: State, *, subject: str) -> None:
    """Check that tensors are dense, of floating point, and fully stored in the file.

    Nothing is read: a tensor may claim to be larger than memory.

    Raises:
        CheckpointError: Naming each tensor that is something else, and what.
    """
    wrong = {key: kind for key, value in state.items() if (kind := _other_kind(value))}
    if wrong:
        raise CheckpointError(
            f"{subject}: {len(wrong)} of {len(state)} tensors can't be weights.",
            expected="dense tensors of float32, float16, bfloat16 or float64, stored in full",
            found=listed([f"{key} is {kind}" for key, kind in wrong.items()]),
            hint="save the model's floating-point weights: model.float().state_dict()",
        )


def check_values(state: State, *, subject: str) -> None:
    """Demand finite numbers, in single precision, and a first layer that is not zero.

    Raises:
        CheckpointError: Naming the tensors.
    """
    wrong = [
        f"{key} ({bad} of {value.numel()} numbers)"
        for key, value in state.items()
        if (bad := int((~torch.isfinite(value.float())).sum()))
    ]
    if wrong:
        raise CheckpointError(
            f"{subject}: {len(wrong)} of {len(state)} tensors hold NaN or infinite numbers.",
            expected="finite numbers: features of these weights would mean nothing",
            found=listed(wrong),
            hint="an earlier checkpoint of that training; these weights diverged or are damaged",
        )
    if FIRST in state and not state[FIRST].any():
        raise CheckpointError(
            f"{subject}: the patch embedding is all zeros, so every image looks the same.",
            expected="trained weights",
            found=f"{sum(not value.any() for value in state.values())} of {len(state)} tensors "
            "are zero",
            hint="the file was written before its weights were filled; save it again",
        )


def _other_kind(tensor: Tensor) -> str:
    """Return why a tensor can't be a weight; empty if it can."""
    if tensor.is_nested:
        return "a nested tensor"
    if tensor.is_meta:
        return "without values (on the meta device)"
    if tensor.layout != torch.strided:
        return f"sparse ({str(tensor.layout).removeprefix('torch.')})"
    if tensor.is_quantized or tensor.dtype not in FLOATS:
        return f"{'quantized, ' * tensor.is_quantized}{str(tensor.dtype).removeprefix('torch.')}"
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    held = 1 + sum((size - 1) * stride for size, stride in steps)  # fewer if numbers are shared
    if tensor.numel() > held:
        return f"{tensor.numel()} numbers of which the file holds {held}"
    return ""
