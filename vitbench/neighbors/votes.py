"""The weighted vote of nearest neighbors."""

import torch
from torch import Tensor

from vitbench.neighbors.bank import Neighbors
from vitbench.neighbors.largest import largest

TOP = 5  # classes that are ranked
QUERIES_AT_ONCE = 4096


def vote(found: Neighbors, labels: Tensor, *, classes: int, k: int, temperature: float) -> Tensor:
    """Let the k nearest neighbors vote for their class with weight exp(similarity / temperature).

    Args:
        found: At least k neighbors of each query.
        labels: Class of each bank row, (M,).
        classes: Number of classes.
        k: How many neighbors vote.
        temperature: Smaller values give the nearest ones more say.

    Returns:
        Classes by rank (Q, min(5, k, classes)), on the device of the neighbors; equal scores keep
        the order of the classes.

    Source:
        facebookresearch/dino, eval_knn.py, knn_classifier (7c446df).

    Differs:
        Ranks the classes that exist (the reference: 1000), and ties by lowest class index.
    """
    labels, ranked = labels.to(found.indices.device), []
    for at in range(0, len(found.indices), QUERIES_AT_ONCE):
        part = slice(at, at + QUERIES_AT_ONCE)
        weights = (found.similarities[part, :k].double() / temperature).exp()
        rows = torch.arange(len(weights), device=weights.device)[:, None].expand_as(weights)
        chosen = labels[found.indices[part, :k]]
        scores = weights.new_zeros(len(weights), classes)
        scores.index_put_((rows, chosen), weights, accumulate=True)  # in a fixed order on a GPU too
        ranked.append(largest(scores, min(TOP, k, classes))[1])
    return torch.cat(ranked)
