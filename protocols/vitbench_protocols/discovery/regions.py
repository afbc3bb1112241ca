"""The region of an image that stands out, from the features of its patches."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

WEAK = 1e-5  # weight between patches that are not joined
CLOSE = 1e-9  # relative exactness of an eigenvector
AT_ONCE = 200  # rows whose products are held
ALIKE = 1e-6  # relative difference of entries that count as equal: the first is the seed

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Region:
    """What was found in one image, in patches."""

    mask: Mask  # (h, w), one connected region
    seed: tuple[int, int]  # the patch that it was found from: row, column

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom, the last two excluded."""
        rows, columns = np.nonzero(self.mask)
        return (
            int(columns.min()),
            int(rows.min()),
            int(columns.max()) + 1,
            int(rows.max()) + 1,
        )


def lost(features: Tensor, seeds: int) -> Region:
    """Find the region of patches that are similar to few, grown from the one with the fewest.

    Args:
        features: (D, h, w).
        seeds: Patches with the lowest degrees among which those similar to the seed grow it.

    Source:
        valeoai/LOST, object_discovery.py, lost (fcedbec).
    """
    grid = features.shape[1:]
    rows = features.flatten(1).T  # (N, D)
    order = _degrees(rows).sort(stable=True).indices
    seed, likely = order[0], order[:seeds]
    grown = likely[rows[likely] @ rows[seed] > 0]
    inside = (rows @ rows[grown].sum(dim=0) > 0).view(*grid).cpu().numpy()
    return _component(inside, int(seed))


def _degrees(rows: Tensor) -> Tensor:
    """Count the rows (N, D) that each is similar to, itself left out: (N,), of each pair once."""
    counts = rows.new_zeros(len(rows))
    for start in range(0, len(rows), AT_ONCE):
        products = rows[start : start + AT_ONCE] @ rows[start:].T
        positive = torch.gt(products, 0, out=products)  # 1 or 0: counted faster than bools
        counts[start : start + AT_ONCE] += positive.sum(dim=1) - positive.diagonal()
        counts[start + AT_ONCE :] += positive[:, AT_ONCE:].sum(dim=0)
    return counts


def token_cut(features: Tensor, threshold: float) -> Region:
    """Find the region by a normalized cut of the patches' graph.

    Args:
        features: (D, h, w).
        threshold: Cosine from which two patches are joined by weight 1; else by 1e-5.

    Source:
        YangtaoWANG95/TokenCut, object_discovery.py, ncut (fed52cd).
    """
    grid = features.shape[1:]
    rows = torch.nn.functional.normalize(features.flatten(1).T, dim=1)
    joined = (rows @ rows.T > threshold).cpu().numpy()
    values = second_vector(joined)
    inside = values > values.mean()
    strength = np.abs(values)
    seed = int((strength >= strength.max() * (1 - ALIKE)).argmax())
    if not inside[seed]:
        inside = ~inside
    return _component(inside.reshape(*grid), seed)


def second_vector(joined: Mask) -> NDArray[np.float64]:
    """Return the eigenvector of (D - W) x = lambda D x with the second smallest eigenvalue.

    Args:
        joined: Which patches are joined, (n, n) symmetric: W is 1 there and 1e-5 elsewhere.
    """
    from scipy.sparse.linalg import LinearOperator, eigsh

    weights = np.where(joined, np.float32(1), np.float32(WEAK))
    degrees = weights.sum(axis=1, dtype=np.float64)
    root = np.sqrt(degrees)
    first = root / np.linalg.norm(root)  # of the smallest eigenvalue, 0

    def apply(vector: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = vector.ravel()
        flat = flat - first * (first @ flat)
        found = weights @ (flat / root) / root + flat  # eigenvalues 0 to 2
        projected: NDArray[np.float64] = found - first * (first @ found)
        return projected

    count = len(root)
    if count < 3:
        return np.arange(count, dtype=np.float64)
    operator = LinearOperator((count, count), matvec=apply, dtype=np.float64)
    start = np.random.default_rng(0).normal(size=count)
    _, vectors = eigsh(operator, k=1, which="LA", v0=start, tol=CLOSE)
    found: NDArray[np.float64] = vectors[:, 0] / root
    return found


def _component(inside: Mask, seed: int) -> Region:
    """Keep the connected part (by sides) that holds the seed."""
    from scipy.ndimage import label

    place = (seed // inside.shape[1], seed % inside.shape[1])
    labels, _ = label(inside)
    mask: Mask = labels == labels[place] if inside[place] else np.zeros_like(inside)
    mask[place] = True
    return Region(mask, place)
