"""Predicting a whole split: each process its share of the images, counts put together."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from vitbench.api import Context, IndexMapDataset
from vitbench.kit import distributed, resize_indices
from vitbench_protocols.segmentation.classes import Classes, Indices
from vitbench_protocols.segmentation.inference import Segmenter
from vitbench_protocols.segmentation.scenes import Scene, scenes
from vitbench_protocols.segmentation.scores import Tally, confusion
from vitbench_protocols.segmentation.settings import Inference, Squared


@dataclass(frozen=True, slots=True)
class Problem:
    """The data and the classes of a segmentation run, and how images are shown."""

    context: Context
    classes: Classes
    train: IndexMapDataset
    val: IndexMapDataset
    inference: Inference | Squared


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
        The counts of all processes, on the main one.
    """
    context, classes = problem.context, problem.classes
    tally = Tally(len(classes))
    mine = distributed.share(range(len(problem.val)))
    for scene in scenes(problem.val, mine, classes, workers=context.workers):
        predicted = problem.inference.classify(scene.image, segmenter)
        truth = problem.inference.compared(scene.truth)
        tally.add(scene.place, confusion(truth, predicted, len(classes)))
        keep(scene, resize_indices(predicted, (scene.truth.shape[0], scene.truth.shape[1])))
        context.progress("segmenting", scene.place + 1, len(problem.val), "images")
    return tally.together()
