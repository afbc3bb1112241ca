"""Batch normalization over the batch of all processes, and one that keeps its statistics."""

from typing import Any

import torch
from torch import Tensor, nn

from vitbench import distributed


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """`BatchNorm2d` whose statistics are those of all processes' images.

    PyTorch's SyncBatchNorm needs a GPU; this one computes the same anywhere. On one process it is
    `BatchNorm2d`.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize maps (B, C, H, W)."""
        if not self.training or distributed.world_size() == 1:
            return super().forward(x)
        wide = x if x.dtype == torch.float64 else x.float()
        count = torch.tensor([float(x.numel() // x.shape[1])], device=x.device, dtype=wide.dtype)
        total = distributed.sum_over_processes(count)
        mean = _sum(wide.sum(dim=(0, 2, 3))) / total
        centered = wide - mean.view(1, -1, 1, 1)
        variance = _sum(centered.square().sum(dim=(0, 2, 3))) / total
        self._remember(mean.detach(), (variance * total / (total - 1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        made: Tensor = centered * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
        return made.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as PyTorch does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _Sum(torch.autograd.Function):
    """A sum over all processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(_context: Any, tensor: Tensor) -> Tensor:
        return distributed.sum_over_processes(tensor.clone())

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        return distributed.sum_over_processes(gradients[0].clone())


def _sum(tensor: Tensor) -> Tensor:
    summed: Any = _Sum.apply
    return summed(tensor)  # type: ignore[no-any-return]


def keep_statistics(module: nn.Module) -> None:
    """Let the batch norms of a module that trains normalize by their running statistics.

    Their weights and biases still learn.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()
