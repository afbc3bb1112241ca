"""Exact nearest neighbors by inner product, two engines with one answer, and their weighted vote.

An engine's float32 similarities are sure to about 1e-6. Where neighbors lie closer together than
that, they are ranked again in float64 (higher similarity first, then lower index), so the answer
does not depend on the engine, the device or the batch.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from vitbench.errors import SettingError

Engine = Literal["faiss", "torch"]
SPARE = 8  # candidates beyond k, so that near ties at the border can be decided
NEAR = 2e-6  # of the largest similarity: closer ones are ranked again
QUERIES_AT_ONCE = 1024
ROWS_AT_ONCE = 4096


class Neighbors(NamedTuple):
    """The k nearest bank rows of each query, nearest first."""

    similarities: Tensor  # (Q, k) float32
    indices: Tensor  # (Q, k) int64


class Bank:
    """Rows among which neighbors are searched, for as many queries as one likes.

    Args:
        rows: What to choose from, (M, D) float32; with L2-normalized rows the inner product is the
            cosine.
        engine: FAISS `IndexFlatIP`, or a blocked matrix product with top-k in torch.
    """

    def __init__(self, rows: Tensor, *, engine: Engine = "faiss") -> None:
        self.rows = rows
        self._find = _faiss_finder(rows) if engine == "faiss" else _torch_finder(rows)

    def search(self, queries: Tensor, k: int) -> Neighbors:
        """Find the k rows with the largest inner product, for every query.

        Args:
            queries: (Q, D) float32, on the device of the rows.
            k: Neighbors of each query, 1 to M.

        Returns:
            Similarities and indices of rows on the device of the queries. Equal similarities keep
            the order of the rows.

        Raises:
            SettingError: If k is larger than the bank.
        """
        if not 1 <= k <= len(self.rows):
            raise SettingError([f"k is {k}, expected 1 to {len(self.rows)}, the size of the bank"])
        wide = min(k + SPARE, len(self.rows))
        parts = [
            _sure(self.rows, part, *self._find(part, wide), k)
            for part in torch.split(queries, QUERIES_AT_ONCE)
        ]
        return Neighbors(*(torch.cat(part) for part in zip(*parts, strict=True)))


def search(bank: Tensor, queries: Tensor, k: int, *, engine: Engine = "faiss") -> Neighbors:
    """Find neighbors among the rows of a bank once; see `Bank`."""
    return Bank(bank, engine=engine).search(queries, k)


def vote(
    found: Neighbors, labels: Tensor, *, classes: int, k: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Let the k nearest neighbors vote for their class with weight exp(similarity / temperature).

    Args:
        found: At least k neighbors of each query.
        labels: Class of each bank row, (M,).
        classes: Number of classes.
        k: How many neighbors vote.
        temperature: Smaller values give the nearest ones more say.

    Returns:
        Score of each class (Q, classes) float64, and classes by rank (Q, min(5, k, classes));
        equal scores keep the order of the classes.

    Source:
        facebookresearch/dino, eval_knn.py, knn_classifier (7c446df).

    Differs:
        Ranks the classes that exist (the reference: 1000), and ties by lowest class index.
    """
    weights = (found.similarities[:, :k].double().cpu() / temperature).exp()
    chosen = labels.cpu()[found.indices[:, :k].cpu()]
    scores = torch.zeros(len(weights), classes, dtype=torch.float64)
    scores.scatter_add_(1, chosen, weights)
    ranked = scores.sort(dim=1, descending=True, stable=True).indices
    return scores, ranked[:, : min(5, k)]


Finder = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def _torch_finder(bank: Tensor) -> Finder:
    columns = bank.t()
    return lambda rows, k: tuple(torch.topk(rows @ columns, k))  # type: ignore[return-value]


def _faiss_finder(bank: Tensor) -> Finder:
    import faiss

    index: Any = faiss.IndexFlatIP(bank.shape[1])
    if bank.is_cuda and faiss.get_num_gpus() > 0:
        index = faiss.index_cpu_to_gpu(faiss.StandardGpuResources(), bank.device.index or 0, index)
    index.add(_array(bank))

    def find(rows: Tensor, k: int) -> tuple[Tensor, Tensor]:
        similarities, indices = index.search(_array(rows), k)
        return (
            torch.from_numpy(similarities).to(rows.device),
            torch.from_numpy(indices).to(rows.device),
        )

    return find


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.float().cpu().numpy())


def _sure(
    bank: Tensor, rows: Tensor, similarities: Tensor, indices: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """Keep k candidates, those that float32 can't tell apart in their exact order."""
    near = NEAR * similarities.abs().amax(dim=1, keepdim=True)
    close = (similarities[:, :-1] - similarities[:, 1:]) <= near
    if indices.shape[1] < len(bank):  # more of the bank may lie as close as the last candidate
        for query in close[:, k - 1 :].all(dim=1).nonzero().flatten():
            exact = bank.double() @ rows[query].double()
            order = exact.sort(descending=True, stable=True).indices[: indices.shape[1]]
            similarities[query], indices[query] = exact[order].float(), order
            close[query] = False
    unsure = close.any(dim=1).nonzero().flatten()
    if len(unsure):
        similarities[unsure], indices[unsure] = _reranked(
            bank, rows[unsure], similarities[unsure], indices[unsure], close[unsure]
        )
    return similarities[:, :k], indices[:, :k]


def _reranked(
    bank: Tensor, rows: Tensor, similarities: Tensor, indices: Tensor, close: Tensor
) -> tuple[Tensor, Tensor]:
    """Rank candidates by similarity, exact for those with a close neighbor, then by index."""
    tied = pad(close, (1, 0)) | pad(close, (0, 1))
    query, place = tied.nonzero(as_tuple=True)
    values = similarities.double()
    for at in range(0, len(query), ROWS_AT_ONCE):
        q, c = query[at : at + ROWS_AT_ONCE], place[at : at + ROWS_AT_ONCE]
        values[q, c] = (rows[q].double() * bank[indices[q, c]].double()).sum(dim=1)
    by_index = indices.sort(dim=1)
    values = values.gather(1, by_index.indices)
    ranked = values.sort(dim=1, descending=True, stable=True)
    return ranked.values.float(), by_index.values.gather(1, ranked.indices)
