"""Exact nearest neighbors by inner product: two engines with one answer.

An engine's float32 products are sure to about 1e-6. Where neighbors lie closer together than that,
they are ranked again in float64 (higher product first, then lower index), so the answer does not
depend on the engine, the device or the batch.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.errors import SettingError
from vitbench.neighbors.repeats import find_repeats
from vitbench.neighbors.searched import Searched
from vitbench.neighbors.ties import Crowd, rank_candidates, rank_crowd

Engine = Literal["faiss", "torch"]
SPARE = 8  # candidates beyond k, so that near ties at the border can be decided
QUERIES_AT_ONCE = 1024
PRODUCTS_AT_ONCE = 2**26  # held by the engine of torch, 256 MB


class Neighbors(NamedTuple):
    """The k nearest bank rows of each query, nearest first."""

    similarities: Tensor  # (Q, k) float32
    indices: Tensor  # (Q, k) int64


class Found(NamedTuple):
    """What an engine found: candidates by rank."""

    values: Tensor  # (Q, n) float32
    places: Tensor  # (Q, n) int64, among the rows that were searched
    every: Tensor | None  # the products with all rows (Q, m), where the engine holds them


Finder = Callable[[Tensor, int], Found]


class Bank:
    """Rows among which neighbors are searched, for as many queries as one likes.

    Args:
        rows: What to choose from, (M, D) float32; with L2-normalized rows the inner product is the
            cosine. They are kept, not copied, unless most are repeated or all are nearly equal.
        engine: A blocked matrix product with top-k in torch, or FAISS's exact search.
    """

    def __init__(self, rows: Tensor, *, engine: Engine = "torch") -> None:
        self.rows = rows.contiguous()
        self._repeats = find_repeats(self.rows)
        self._engine = engine
        self._ready: tuple[int, Searched, Finder] | None = None  # for the k of the last search

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
        if self._ready is None or self._ready[0] != k:
            searched = Searched.of(self.rows, self._repeats, k)
            finder = _faiss_finder if self._engine == "faiss" else _torch_finder
            self._ready = k, searched, finder(searched.rows)
        at_once = max(1, min(QUERIES_AT_ONCE, PRODUCTS_AT_ONCE // len(self._ready[1].rows)))
        parts = [self._nearest(part, *self._ready) for part in torch.split(queries, at_once)]
        return Neighbors(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _nearest(
        self, queries: Tensor, k: int, searched: Searched, find: Finder
    ) -> tuple[Tensor, Tensor]:
        """Keep k candidates, those that float32 can't tell apart in their exact order."""
        asked = searched.asked(queries)
        found = find(asked, min(k + SPARE, len(searched.rows)))
        near = searched.near(asked)
        close = found.values[:, :-1] - found.values[:, 1:] <= near
        products = searched.products(queries, found.values)
        indices = searched.numbers_of(found.places)
        if found.places.shape[1] < len(searched.rows):  # more may be as close as the last candidate
            crowded = close[:, k - 1 :].all(dim=1).nonzero().flatten()
            if len(crowded):
                least = found.values[:, k - 1 : k] - near
                every = asked @ searched.rows.t() if found.every is None else found.every
                crowd = Crowd((every >= least)[crowded], found.places[crowded, 0], searched.places)
                products[crowded, :k], indices[crowded, :k] = rank_crowd(
                    self.rows, self._repeats, queries[crowded], crowd, k
                )
                close[crowded] = False
        unsure = close.any(dim=1).nonzero().flatten()
        if len(unsure):
            products[unsure], indices[unsure] = rank_candidates(
                self.rows, queries[unsure], products[unsure], indices[unsure], close[unsure]
            )
        return products[:, :k].float(), indices[:, :k]


def search(bank: Tensor, queries: Tensor, k: int, *, engine: Engine = "torch") -> Neighbors:
    """Find neighbors among the rows of a bank once; see `Bank`."""
    return Bank(bank, engine=engine).search(queries, k)


def _torch_finder(bank: Tensor) -> Finder:
    columns = bank.t()

    def find(rows: Tensor, k: int) -> Found:
        every = rows @ columns
        return Found(*torch.topk(every, k), every)

    return find


def _faiss_finder(bank: Tensor) -> Finder:
    import faiss

    library: Any = faiss
    if bank.is_cuda and library.get_num_gpus() > 0:
        resources, where = library.StandardGpuResources(), bank.device.index or 0
        index = library.index_cpu_to_gpu(resources, where, library.IndexFlatIP(bank.shape[1]))
        index.add(_array(bank))
        engine = index.search
    else:
        rows = _array(bank)  # shared, not copied as an index would

        def engine(queries: NDArray[np.float32], k: int) -> Any:
            return library.knn(queries, rows, k, metric=library.METRIC_INNER_PRODUCT)

    def find(rows: Tensor, k: int) -> Found:
        products, places = (torch.from_numpy(part) for part in engine(_array(rows), k))
        return Found(products.to(rows.device), places.to(rows.device), None)

    return find


def _array(tensor: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(tensor.float().cpu().numpy())
