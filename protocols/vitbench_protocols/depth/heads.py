"""Heads that turn feature maps into depth."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

BINS = 256
NEAREST = 1e-3  # m, the first bin
FLOOR = 0.1  # added to the weight of every bin


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """Enlarge maps (B, C, h, w) bilinearly; corners stay corners."""
    return interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=True)


def depth_of_bins(scores: Tensor, max_depth: float) -> Tensor:
    """Return the mean of evenly spaced depths, weighted by scores (B, bins, h, w): (B, 1, h, w).

    Source:
        mbanani/probe3d, evals/models/probes.py, DepthBinPrediction (a1f1464), strategies "UD" and
        "linear", as facebookresearch/dinov2.
    """
    bins = torch.linspace(NEAREST, max_depth, scores.shape[1], device=scores.device)
    weights = scores.relu() + FLOOR
    weights = weights / weights.sum(dim=1, keepdim=True)
    return torch.einsum("bkhw,k->bhw", weights, bins)[:, None]


class LinearHead(nn.Module):
    """One linear map of features that are enlarged 4 times."""

    def __init__(self, widths: Sequence[int], max_depth: float) -> None:
        super().__init__()
        self.max_depth = max_depth
        self.conv = nn.Conv2d(sum(widths), BINS, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return depth (B, 1, 4 h, 4 w) of maps (B, D, h, w)."""
        joined = enlarged(torch.cat(list(maps), dim=1), 4)
        return depth_of_bins(self.conv(joined), self.max_depth)


class ResidualUnit(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        """Keep the shape, (B, C, h, w)."""
        found: Tensor = self.second(self.first(maps).relu()).relu()
        return found + maps


class DptHead(nn.Module):
    """Maps of four blocks, the last one refined first and the others added to it.

    Source:
        mbanani/probe3d, evals/models/probes.py, DPT (a1f1464), kernel 3.
    """

    def __init__(self, widths: Sequence[int], max_depth: float, hidden: int) -> None:
        super().__init__()
        self.max_depth = max_depth
        self.project = nn.ModuleList(nn.Conv2d(width, hidden, 1) for width in widths)
        self.beside = nn.ModuleList(ResidualUnit(hidden) for _ in widths[:-1])
        self.fused = nn.ModuleList(ResidualUnit(hidden) for _ in widths)
        self.smooth = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.out = nn.Conv2d(hidden, BINS, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Return depth (B, 1, 16 h, 16 w) of maps (B, D, h, w), early blocks first."""
        levels = [
            enlarged(project(level), 2) for project, level in zip(self.project, maps, strict=True)
        ]
        found: Tensor = self.fused[-1](levels[-1])
        for number in reversed(range(len(levels) - 1)):
            found = self.fused[number](self.beside[number](levels[number]) + found)
        found = self.smooth(enlarged(found, 4)).relu()
        return depth_of_bins(enlarged(self.out(found), 2), self.max_depth)
