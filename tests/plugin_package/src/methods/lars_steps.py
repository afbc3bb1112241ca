"""The steps of LARS."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class LarsSteps(torch.optim.Optimizer):
    """LARS over groups of parameters; a group that does not decay is moved as by SGD.

    Args:
        groups: As of any optimizer.
        momentum: SGD momentum.
        trust: Share of a matrix' norm that a step may move.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, momentum: float, trust: float) -> None:
        super().__init__(groups, {"lr": 0.0, "weight_decay": 0.0})
        self._momentum, self._trust = momentum, trust

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"], group["weight_decay"])

    def _move(self, parameter: Tensor, gradient: Tensor, rate: float, decay: float) -> None:
        if decay:
            gradient = gradient + decay * parameter
            size, steep = parameter.norm(), gradient.norm()
            scale = torch.where((size > 0) & (steep > 0), self._trust * size / steep, 1.0)
            gradient = gradient * scale
        memory = self.state[parameter]
        if "moved" not in memory:
            memory["moved"] = torch.zeros_like(parameter)
        memory["moved"].mul_(self._momentum).add_(gradient)
        parameter.add_(memory["moved"], alpha=-rate)
