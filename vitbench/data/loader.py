"""Decode ahead of the model: batches of views in a fixed order, made by threads."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from vitbench.data.dataset import Dataset, Sample

View = Callable[[Image.Image], Tensor]  # an RGB image -> its pixels, uint8 (3, H, W)

AHEAD = 3  # batches decoded before they are asked for


def load_batches(
    dataset: Dataset[Sample[Any]],
    batches: Sequence[Sequence[int]],
    view: View,
    *,
    workers: int,
) -> Iterator[tuple[Sequence[int], Tensor]]:
    """Yield each batch's indices and its pixels, uint8 (B, 3, H, W), in the given order.

    PIL decodes and resizes outside the interpreter's lock, so threads are enough and nothing is
    copied between processes.
    """

    def read(index: int) -> Tensor:
        return view(dataset[index].image)

    with ThreadPoolExecutor(max(1, workers)) as pool:
        pending: deque[tuple[Sequence[int], list[Future[Tensor]]]] = deque()
        queue = iter(batches)
        try:
            while True:
                while len(pending) < AHEAD and (batch := next(queue, None)) is not None:
                    pending.append((batch, [pool.submit(read, index) for index in batch]))
                if not pending:
                    return
                batch, futures = pending.popleft()
                yield batch, torch.stack([future.result() for future in futures])
        finally:
            for _, futures in pending:
                for future in futures:
                    future.cancel()
