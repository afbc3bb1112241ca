"""A residual branch and its stochastic depth, added in one step and never kept in a wider type."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class DrawnDropPath(nn.Module):
    """Stochastic depth by scales that are drawn elsewhere.

    Args:
        scales: Returns the scale of this branch for every row, (B,): 0 for a dropped one, else 1 /
            chance of survival; or None, where nothing is dropped.
    """

    def __init__(self, scales: Any) -> None:
        super().__init__()
        self.scales = scales

    def forward(self, x: Tensor) -> Tensor:
        """Scale the rows of a branch (B, …)."""
        scales = self.scales()
        return x if scales is None else x * scales.view(-1, *[1] * (x.ndim - 1))


def add_branch(x: Tensor, branch: Tensor, drop_path: nn.Module) -> Tensor:
    """Return x + drop_path(branch), (B, …)."""
    scales = drop_path.scales() if isinstance(drop_path, DrawnDropPath) else None
    if scales is None:
        branch = drop_path(branch)
        mixed = branch.dtype != x.dtype
        if torch.is_grad_enabled() or (mixed and x.device.type != "cpu"):
            return x + branch
        # no gradient needs the branch, or the copy of it that a CPU makes of another type: their
        # memory takes the sum, with the same digits
        return (branch.to(torch.promote_types(branch.dtype, x.dtype)) if mixed else branch).add_(x)
    run: Any = _AddScaled.apply
    return run(x, branch, scales.view(-1, *[1] * (x.ndim - 1)))  # type: ignore[no-any-return]


class _AddScaled(torch.autograd.Function):
    """x + branch * scales: sum and product are those of the widest type, gradients of their own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, branch: Tensor, scales: Tensor) -> Tensor:
        ctx.save_for_backward(scales)
        ctx.kind = branch.dtype
        with torch.autocast(x.device.type, enabled=False):  # it would write the branch out, wider
            return torch.addcmul(x, branch, scales)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_sum: Tensor) -> tuple[Tensor | None, ...]:
        (scales,) = ctx.saved_tensors
        by_branch = torch.empty(by_sum.shape, dtype=ctx.kind, device=by_sum.device)
        torch.mul(by_sum, scales, out=by_branch)
        return by_sum, by_branch, None
