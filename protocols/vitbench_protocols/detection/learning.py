"""Learning to detect: the task that the core's fine-tuning loop runs."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from vitbench.api import Backbone, Context, InstanceDataset, errors
from vitbench.kit import FineTuneContext, FineTuning, Shuffled, distributed, seeded, send
from vitbench_protocols.detection.building import build_detector
from vitbench_protocols.detection.detector import Detector
from vitbench_protocols.detection.inference import Problem, detect_all, normalized
from vitbench_protocols.detection.results import Detected
from vitbench_protocols.detection.scores import evaluate_kind
from vitbench_protocols.detection.settings import Learning
from vitbench_protocols.detection.truth import Truth, open_instances
from vitbench_protocols.detection.views import View, Views, read_view, trained_on

if TYPE_CHECKING:
    from vitbench_protocols.detection import Detection

SMALLEST = 32  # px: images with a shorter side are not trained on, as in mmdetection


class ViewTask:
    """A detector that learns from views of the training images that show an object."""

    def __init__(self, detector: Detector, problem: Problem, views: Views) -> None:
        self.model, self.problem, self.views = detector, problem, views
        self.places = places_to_learn(problem.train)
        self.labels = problem.labels()
        self.order = Shuffled(problem.context.seed, len(self.places))

    def sample(self, position: int) -> View:
        """Make the view at a position of the stream."""
        sample = self.problem.train[self.places[self.order[position]]]
        view = read_view(sample, self.labels)
        return self.views.make(view, seed=self.problem.context.seed, position=position)

    def losses(self, samples: list[View], positions: range) -> dict[str, Tensor]:
        """Return the five losses and their sum."""
        context = self.problem.context
        images = [normalized(view.image, context) for view in samples]
        targets = [sent(view, context.device) for view in samples]
        with context.autocast():
            found = self.model.losses(images, targets, context.seed, positions)
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def check(self) -> Mapping[str, float]:
        """Score the detector on the validation images."""
        detections = detect_all(self.problem, self.model)
        return distributed.compute_on_main(lambda: self._scores(detections or []))

    def _scores(self, detections: Sequence[Detected]) -> Mapping[str, float]:
        scores = {}
        for kind in self.problem.truth.kinds:
            found = evaluate_kind(self.problem.truth, detections, kind)
            for name, ious in (("ap", slice(0, 10)), ("ap50", slice(0, 1))):
                value = found.ap(ious, 0)
                if value is not None:
                    scores[f"{name}_{kind}"] = value
        return scores


def sent(view: View, device: torch.device) -> dict[str, Tensor]:
    """Return the truth of a view on a device, see `Detector.losses`."""
    names = ("boxes", "labels", "masks", "outlined")
    return {name: send(np.ascontiguousarray(getattr(view, name)), device) for name in names}


def places_to_learn(dataset: InstanceDataset) -> list[int]:
    """Return the places of the images that show something to learn from.

    Raises:
        DatasetError: There are none.
    """
    found = []
    for place in range(len(dataset)):
        target = dataset.target(place)
        if min(target.height, target.width) >= SMALLEST and trained_on(target):
            found.append(place)
    if not found:
        raise errors.DatasetError(
            f"no image of {dataset.info.name}/{dataset.info.split} can be learned from.",
            expected=f"images of {SMALLEST} px at least, with objects that are no crowds",
            found=f"{len(dataset)} images without",
        )
    return found


def learn(detector: Detector, problem: Problem, views: Views, learning: Learning) -> None:
    """Train a detector, going on from where a killed run was."""
    context = problem.context
    task = ViewTask(detector, problem, views)
    layers = {} if learning.layer_decay == 1 else detector.taps.parameter_layers()
    FineTuning(
        task, learning.course(len(task.places), layers), FineTuneContext.of(context)
    ).finish()


def learn_and_detect(
    protocol: "Detection", backbone: Backbone, context: Context, truth: Truth
) -> list[Detected] | None:
    """Train a detector, and return its detections in the validation images, see `detect_all`."""
    train, val = (open_instances(context, split) for split in ("train", "val"))
    problem = Problem(context, train, val, truth, protocol.short, protocol.long)
    build = partial(build_detector, protocol, backbone, len(problem.labels()))
    detector: Detector = seeded(build, seed=context.seed).to(context.device)
    learn(detector, problem, protocol.views, protocol.learning)
    return detect_all(problem, detector)
