"""Decode ahead of the model: items in a fixed order, made by threads."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image

from vitbench.data.classified import ClassifiedImages
from vitbench.data.kinds import Items, Sample
from vitbench.data.transforms import ImageView

if TYPE_CHECKING:
    from torch import Tensor

View = Callable[[Image.Image], "Tensor"]  # an RGB image -> its pixels, uint8 (3, H, W)

BATCHES_AHEAD = 3  # decoded before they are asked for

AskedT = TypeVar("AskedT")
MadeT = TypeVar("MadeT")


def in_order(
    make: Callable[[AskedT], MadeT], asked: Iterable[AskedT], *, workers: int, ahead: int
) -> Generator[MadeT]:
    """Yield `make(item)` for every item in its order, made by threads.

    PIL, OpenCV and NumPy's large operations work outside the interpreter's lock, so threads are
    enough and nothing is copied between processes.

    Args:
        make: Makes one item.
        asked: What to make; may be endless.
        workers: Threads.
        ahead: Items that are in the making before they are asked for.
    """
    queue = iter(asked)
    waiting: deque[Future[MadeT]] = deque()
    with ThreadPoolExecutor(max(1, workers)) as pool:
        try:
            while True:
                room = max(1, ahead) - len(waiting)
                waiting.extend(pool.submit(make, item) for item in islice(queue, room))
                if not waiting:
                    return
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def load_batches(
    dataset: Items[Sample[Any]],
    batches: Sequence[Sequence[int]],
    view: View,
    *,
    workers: int,
) -> Iterator[tuple[Sequence[int], "Tensor"]]:
    """Yield each batch's indices and its pixels, uint8 (B, 3, H, W), in the given order."""
    import torch

    def read(index: int) -> "Tensor":
        if isinstance(view, ImageView) and isinstance(dataset, ClassifiedImages):
            return view.of_pixels(dataset.pixels(index))  # a fast view needs no PIL image
        return view(dataset[index].image)

    indices = (index for batch in batches for index in batch)
    ahead = BATCHES_AHEAD * max(map(len, batches), default=1)
    images = in_order(read, indices, workers=workers, ahead=ahead)
    for batch in batches:
        yield batch, torch.stack(list(islice(images, len(batch))))
