"""Tables that depend on sizes alone: made once for each device, or as part of a compiled graph."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")
MOST = 64  # sizes


def kept(make: Callable[P, R]) -> Callable[P, R]:
    """Keep the last results of a function whose arguments, a device among them, say all.

    A compiler traces the function itself: a result from outside would be another input.
    """
    remembered = lru_cache(maxsize=MOST)(torch.inference_mode(mode=False)(make))

    @wraps(make)
    def table(*values: P.args, **named: P.kwargs) -> R:
        if torch.compiler.is_compiling():
            return make(*values, **named)
        return remembered(*values, **named)  # type: ignore[arg-type]

    return table
