"""Predicting a whole split: each process its share of the images, counts put together."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vitbench.api import Context, Dataset
from vitbench.kit import Pixels, distributed, in_order
from vitbench_protocols.segmentation.classes import Classes, Indices
from vitbench_protocols.segmentation.inference import Inference, Segmenter
from vitbench_protocols.segmentation.scores import Tally, confusion

AHEAD = 8  # images


@dataclass(frozen=True, slots=True)
class Problem:
    """What every way of segmenting is given."""

    context: Context
    classes: Classes
    train: Dataset[Any]
    val: Dataset[Any]
    inference: Inference


@dataclass(frozen=True, slots=True)
class Scene:
    """An image and the true class of each of its pixels."""

    place: int  # in its split
    id: str
    image: Pixels
    truth: Indices


def read_scene(dataset: Dataset[Any], place: int, classes: Classes) -> Scene:
    """Read one item of a data set of index maps."""
    sample = dataset[place]
    return Scene(place, sample.id, np.array(sample.image), classes.truth(sample.target, sample.id))


def scenes(
    dataset: Dataset[Any], places: Sequence[int], classes: Classes, *, workers: int
) -> Iterator[Scene]:
    """Yield items in the given order, read ahead by threads."""
    return in_order(
        lambda place: read_scene(dataset, place, classes), places, workers=workers, ahead=AHEAD
    )


@torch.inference_mode()
def predict(
    problem: Problem,
    segmenter: Segmenter,
    keep: Callable[[Scene, Indices], None] = lambda _scene, _predicted: None,
) -> Tally:
    """Classify every pixel of the validation images and count.

    Args:
        problem: The data, and how an image is seen.
        segmenter: What gives the scores.
        keep: Told every prediction of this process.

    Returns:
        The counts of all processes.
    """
    context, classes = problem.context, problem.classes
    tally = Tally(len(classes))
    mine = distributed.share(range(len(problem.val)))
    for scene in scenes(problem.val, mine, classes, workers=context.workers):
        predicted = problem.inference.classify(scene.image, segmenter)
        tally.add(scene.place, confusion(scene.truth, predicted, len(classes)))
        keep(scene, predicted)
        context.progress("segmenting", scene.place + 1, len(problem.val))
    return tally.together()
