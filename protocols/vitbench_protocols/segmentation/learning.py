"""Learning to segment from crops: the task that the core's fine-tuning loop runs."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vitbench.kit import FineTuneContext, FineTuning, Shuffled, distributed, send
from vitbench_protocols.segmentation.classes import NONE
from vitbench_protocols.segmentation.crops import Crop, CropRules
from vitbench_protocols.segmentation.networks import Network, NetworkSegmenter
from vitbench_protocols.segmentation.predict import Problem, predict
from vitbench_protocols.segmentation.scenes import read_scene
from vitbench_protocols.segmentation.scores import summarize
from vitbench_protocols.segmentation.settings import Learning

FULL_SIZE = 2048  # px, limit of the long side before the random scale


class CropTask:
    """A network that learns the classes of pixels in random crops.

    The loss is the cross-entropy summed over labeled pixels and divided by all pixels, as
    mmsegmentation of 2021 does; a crop without labels adds nothing.
    """

    def __init__(self, network: Network, problem: Problem, learning: Learning) -> None:
        self.model, self.problem = network, problem
        context = problem.context
        self.segmenter = NetworkSegmenter(network, context)
        self.order = Shuffled(context.seed, len(problem.train))
        mean = context.normalization.mean
        self.rules = CropRules(
            size=learning.crop,
            short=learning.short,
            long=FULL_SIZE,
            scales=learning.scales,
            class_share=learning.class_share,
            fill=(round(255 * mean[0]), round(255 * mean[1]), round(255 * mean[2])),
        )

    def sample(self, position: int) -> Crop:
        """Make the crop at a position of the stream."""
        problem = self.problem
        scene = read_scene(problem.train, self.order[position], problem.classes)
        return self.rules.make(
            scene.image, scene.truth, seed=problem.context.seed, position=position
        )

    def losses(self, samples: list[Crop], positions: range) -> dict[str, Tensor]:
        """Return the weighted sum of the losses of the outputs, and the share of right pixels."""
        context = self.problem.context
        images = torch.from_numpy(np.stack([crop.image for crop in samples]))
        images = context.normalization(send(images, context.device).permute(0, 3, 1, 2))
        truth = torch.from_numpy(np.stack([crop.truth for crop in samples]))
        truth = self.model.learned_from(send(truth, context.device).long())
        self.model.draw(context.seed, positions)
        with context.autocast():
            outputs = self.model(images)
        scores = [
            functional.interpolate(each.float(), size=truth.shape[-2:], mode="bilinear")
            for each in outputs
        ]
        parts = [pixel_loss(each, truth) for each in scores]
        weights = self.model.loss_weights
        loss = torch.stack([w * part for w, part in zip(weights, parts, strict=True)]).sum()
        known = truth != NONE
        right = (scores[0].detach().argmax(dim=1) == truth) & known
        loss = self.model.share(loss)
        return {"loss": loss, "pixel_accuracy": 100 * right.sum() / known.sum().clamp(min=1)}

    def check(self) -> Mapping[str, float]:
        """Score the network on the validation images."""
        tally = predict(self.problem, self.segmenter)
        found = distributed.compute_on_main(lambda: summarize(tally.items(self.problem.val.ids)))
        return {score.metric: score.value for score in found if score.value is not None}


def pixel_loss(scores: Tensor, truth: Tensor) -> Tensor:
    """Return the cross-entropy of scores (B, C, H, W), summed over labels, over all pixels."""
    summed = functional.cross_entropy(scores, truth, ignore_index=NONE, reduction="sum")
    return summed / truth.numel()


def learn(
    network: Network, problem: Problem, learning: Learning, *, undecayed: tuple[str, ...] = ()
) -> NetworkSegmenter:
    """Train a network on the training images, going on from where a killed run was.

    Args:
        network: On its device.
        problem: The data.
        learning: How.
        undecayed: Parts of names of parameters that do not decay.
    """
    context = problem.context
    task = CropTask(network, problem, learning)
    FineTuning(task, learning.course(undecayed), FineTuneContext.of(context)).finish()
    return task.segmenter
