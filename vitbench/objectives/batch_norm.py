"""Batch normalization over the batch of all processes, on any device."""

import torch
from torch import Tensor, nn

from vitbench import distributed
from vitbench.objectives.gradient_sums import sum_with_gradient


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d over the rows of all processes in training.

    Differs:
        `torch.nn.SyncBatchNorm` does the same on GPUs only.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize rows (rows, width); every process has equally many."""
        processes = distributed.world_size()
        if processes == 1 or not self.training:
            return super().forward(x)
        exact = x if x.dtype == torch.float64 else x.float()
        mean = sum_with_gradient(exact.mean(dim=0)) / processes
        variance = sum_with_gradient((exact - mean).square().mean(dim=0)) / processes
        self._remember(mean.detach(), variance.detach(), rows=len(x) * processes)
        return (exact - mean) * (variance + self.eps).rsqrt() * self.weight + self.bias

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, *, rows: int) -> None:
        """Move the running statistics, as BatchNorm1d does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        share = self.momentum or 0.1
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * rows / (rows - 1), share)
        self.num_batches_tracked += 1
