"""Batch normalization over the batch of all processes, on any device."""

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

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
        wide = x.float()
        count = torch.tensor([float(x.numel() // x.shape[1])], device=x.device)
        total = distributed.sum_over_processes(count)
        mean = all_reduce(wide.sum(dim=(0, 2, 3))) / total
        centred = wide - mean.view(1, -1, 1, 1)
        variance = all_reduce(centred.square().sum(dim=(0, 2, 3))) / total
        self._remember(mean.detach(), (variance * total / (total - 1)).detach())
        scale = self.weight * (variance + self.eps).rsqrt()
        made = centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
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
