"""Images with the true classes of their pixels, read ahead of whoever looks at them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vitbench.api import IndexMapDataset
from vitbench.kit import Pixels, in_order
from vitbench_protocols.segmentation.classes import Classes, Indices

AHEAD = 8  # images


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and the true class of each of its pixels."""

    place: int  # in its split
    id: str
    image: Pixels
    truth: Indices


def read_scene(dataset: IndexMapDataset, place: int, classes: Classes) -> Scene:
    """Read one item of a data set of index maps."""
    sample = dataset[place]
    return Scene(place, sample.id, np.array(sample.image), classes.truth(sample.target, sample.id))


def scenes(
    dataset: IndexMapDataset, places: Sequence[int], classes: Classes, *, workers: int
) -> Iterator[Scene]:
    """Yield items in the given order, read ahead by threads."""
    return in_order(
        lambda place: read_scene(dataset, place, classes), places, workers=workers, ahead=AHEAD
    )
