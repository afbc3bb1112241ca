"""How far a depth map is off: the loss that is trained with, and the scores; 0 is not known."""

import torch
from torch import Tensor

from vitbench_protocols.depth import THRESHOLDS

SMALLEST = 1e-3  # m, added before logarithms
MEAN_SHARE = 0.85  # of the squared mean that the logarithmic error is forgiven
WEIGHTS = (10.0, 0.5)  # of the logarithmic error and its gradient
STRIDES = (1, 2, 4, 6)  # px between the pixels whose gradients are compared


def depth_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Return the loss of depth (B, H, W) against the truth, one number."""
    return WEIGHTS[0] * log_loss(found, truth) + WEIGHTS[1] * gradient_loss(found, truth)


def log_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Return the root of the mean squared logarithmic error, most of a common factor forgiven.

    Source:
        mbanani/probe3d, evals/utils/losses.py, sig_loss (a1f1464); Eigen et al., NeurIPS 2014.
    """
    known = truth > 0
    gap = (found[known] + SMALLEST).log() - (truth[known] + SMALLEST).log()
    if not len(gap):
        return found.sum() * 0.0
    return (gap.square().mean() - MEAN_SHARE * gap.mean().square()).clamp(min=1e-12).sqrt()


def gradient_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Return how much the logarithmic error (B, H, W) changes over 2 px, at four resolutions.

    Source:
        Li and Snavely, MegaDepth, CVPR 2018; mbanani/probe3d, evals/utils/losses.py, gradient_loss
        (a1f1464).
    """
    total = found.new_zeros(())
    for stride in STRIDES:
        depth, real = found[:, ::stride, ::stride], truth[:, ::stride, ::stride]
        known = real > 0
        gap = ((depth + SMALLEST).log() - (real + SMALLEST).log()) * known
        down = (gap[:, :-2] - gap[:, 2:]).abs() * (known[:, :-2] & known[:, 2:])
        right = (gap[..., :-2] - gap[..., 2:]).abs() * (known[..., :-2] & known[..., 2:])
        total = total + (down.sum() + right.sum()) / known.sum().clamp(min=1)
    return total


def depth_scores(found: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Score depth (B, H, W) of each image: d1, d2, d3 in percent, rmse in meters, (B,) each.

    NaN where no depth of an image is known.

    Source:
        mbanani/probe3d, evals/utils/metrics.py, evaluate_depth (a1f1464).
    """
    known = truth > 0
    count = known.sum(dim=(1, 2)).double()
    factor = torch.maximum(truth / found.clamp(min=1e-9), found / truth.clamp(min=1e-9))
    scores = {
        name: 100 * ((factor < limit) & known).sum(dim=(1, 2)) / count
        for name, limit in THRESHOLDS.items()
    }
    squared = ((found - truth).double().square() * known).sum(dim=(1, 2))
    return {**scores, "rmse": (squared / count).sqrt()}
