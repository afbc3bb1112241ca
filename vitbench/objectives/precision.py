"""Loss terms are computed in single precision, whatever the networks are computed in."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def single_precision(term: Callable[P, R]) -> Callable[P, R]:
    """Compute a function outside autocast, with its tensors at least in single precision.

    Autocast casts the operands of every matrix product and `einsum` down, those of a loss too,
    and a product of a backward pass takes the precision of its forward pass.
    """

    @wraps(term)
    def exact(*values: P.args, **settings: P.kwargs) -> R:
        given: Any = term
        everything = (*values, *settings.values())
        device = next(value.device.type for value in everything if isinstance(value, Tensor))
        with torch.autocast(device, enabled=False):
            found: R = given(
                *map(_raised, values), **{name: _raised(value) for name, value in settings.items()}
            )
        return found

    return exact


def at_least_single(tensor: Tensor) -> Tensor:
    """Return numbers of less than single precision in single precision, all else as it is."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor


def _raised(value: Any) -> Any:
    """Raise the tensors in a value."""
    if isinstance(value, list):
        return [_raised(part) for part in value]
    return at_least_single(value) if isinstance(value, Tensor) else value
