"""Label-free statistics of features."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TAIL = 1e-7  # added to each share of a spectrum, so that an empty direction has a logarithm
WITHIN = 1e-4  # added to the spread within images, so that it can be inverted
FIRST, LAST = 11, 100  # ranks of the spectrum that its decay is fitted to
RIDGE = 1e-3  # share of the mean variance that steadies the map from patches to places


def entropy_rank(strengths: Tensor) -> float:
    """Return the exponential of the entropy of a spectrum (n,): its effective rank.

    Source:
        Garrido et al., RankMe, ICML 2023, equation 1.
    """
    shares = strengths / strengths.sum().clamp(min=torch.finfo(strengths.dtype).tiny) + TAIL
    return float((-(shares * shares.log()).sum()).exp())


def rankme(features: Tensor) -> float:
    """Return the effective rank of image-level features (n, D), not centered."""
    return entropy_rank(torch.linalg.svdvals(features.double()))


def effective_rank(rows: Tensor) -> float:
    """Return the effective rank of the covariance of rows (n, D): of its square roots."""
    rows = rows.double()
    return entropy_rank(torch.linalg.svdvals(rows - rows.mean(dim=0)))


def spectrum(features: Tensor) -> NDArray[np.float64]:
    """Return the eigenvalues of the covariance of features (n, D), the largest first."""
    features = features.double()
    values = torch.linalg.svdvals(features - features.mean(dim=0)).square() / len(features)
    found: NDArray[np.float64] = values.numpy()
    return found


def decay(eigenvalues: NDArray[np.float64]) -> float:
    """Return alpha of a spectrum that falls as rank to the power of minus alpha.

    Source:
        Agrawal et al., alpha-ReQ, NeurIPS 2022; the weighted line of Stringer et al., Nature
        2019: logarithms, ranks 11 to 100, weights 1 / rank. With fewer eigenvalues, all that
        there are from the 11th, or from the first, if that leaves fewer than five.
    """
    positive = eigenvalues[eigenvalues > eigenvalues.max(initial=0) * 1e-12]
    first = FIRST if len(positive) >= FIRST + 4 else 1
    ranks = np.arange(first, min(LAST, len(positive)) + 1)
    if len(ranks) < 2:
        return float("nan")
    slope, _ = np.polyfit(np.log(ranks), np.log(positive[ranks - 1]), deg=1, w=np.sqrt(1 / ranks))
    return float(-slope)


def lidar(views: Tensor) -> float:
    """Return the effective rank of linear discriminants between images, views (n, q, D).

    Source:
        Thilak et al., LiDAR, ICLR 2024, equations 1 to 4.
    """
    views = views.double()
    means = views.mean(dim=1)
    between, within = means - means.mean(dim=0), (views - means[:, None]).flatten(0, 1)
    scatter = within.T @ within / len(within)
    values, axes = torch.linalg.eigh(
        scatter + WITHIN * torch.eye(len(scatter), dtype=scatter.dtype)
    )
    whitened = between @ axes / values.clamp(min=WITHIN).sqrt()
    return entropy_rank(torch.linalg.svdvals(whitened).square())


def anisotropy(rows: Tensor) -> float:
    """Return the mean cosine of two different rows (n, D), in percent."""
    units = torch.nn.functional.normalize(rows.double(), dim=1)
    count = len(units)
    return float(100 * (units.sum(dim=0).square().sum() - count) / (count * (count - 1)))


def read_places(rows: Tensor, places: Tensor) -> Tensor:
    """Read the places of patches from their features by a linear map; half of the images fit it.

    Args:
        rows: Features of drawn patches, (n, m, D); images with even numbers fit the map.
        places: Row and column of each, from -1 to 1, (n, m, 2).

    Returns:
        Error and spread of each image with an odd number, summed over its patches, (n // 2, 2);
        1 - error / spread is the share of the variance that is read, R².
    """
    rows, places = rows.double(), places.double()
    fitted, read = slice(0, None, 2), slice(1, None, 2)
    known = rows[fitted].flatten(0, 1)
    mean, middle = known.mean(dim=0), places[fitted].flatten(0, 1).mean(dim=0)
    known = known - mean
    gram = known.T @ known
    steady = RIDGE * gram.diagonal().mean().clamp(min=1e-12)
    gram.diagonal().add_(steady)
    weights = torch.linalg.solve(gram, known.T @ (places[fitted].flatten(0, 1) - middle))
    found = (rows[read] - mean) @ weights + middle
    error = (found - places[read]).square().sum(dim=(1, 2))
    spread = (places[read] - middle).square().sum(dim=(1, 2))
    return torch.stack([error, spread], dim=1)


def explained(read: Tensor) -> float:
    """Return R² in percent from errors and spreads (n, 2); a map worse than the mean has 0."""
    error, spread = read.sum(dim=0).tolist()
    return max(0.0, 100 * (1 - float(error) / max(float(spread), 1e-12)))
