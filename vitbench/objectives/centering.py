"""The running center of a teacher's logits, the same for one process or many."""

import torch
from torch import Tensor, nn

from vitbench import distributed


class Center(nn.Module):
    """Exponential mean of the teacher's logits, taken off before its softmax.

    A step observes any number of times (crop sizes, micro-batches) and updates once, so the
    batch may be cut in any way without changing the center.

    Args:
        prototypes: K, the width of the logits.
        momentum: Share of the old center that stays.

    Source:
        Caron et al., DINO, ICCV 2021, equation 4; facebookresearch/dino, main_dino.py,
        DINOLoss.update_center (7c446df).
    """

    value: Tensor
    _seen: Tensor

    def __init__(self, prototypes: int, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("value", torch.zeros(1, prototypes))
        # the sum of the logits seen in this step and, last, how many rows they were
        self.register_buffer("_seen", torch.zeros(prototypes + 1), persistent=False)

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Take the teacher's logits into account, shape (rows, K); `update` makes them count."""
        self._seen[:-1] += logits.sum(dim=0, dtype=self._seen.dtype)
        self._seen[-1] += len(logits)

    @torch.no_grad()
    def update(self) -> None:
        """Move the center towards the mean of all rows seen by all processes."""
        total = distributed.sum_over_processes(self._seen)
        self.value.lerp_(total[:-1] / total[-1], 1 - self.momentum)
        self.forget()

    def forget(self) -> None:
        """Drop what was observed since the last update."""
        self._seen.zero_()
