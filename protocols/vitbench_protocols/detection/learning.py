"""Learning to detect: the task that the core's fine-tuning loop runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vitbench.api import (
    BackboneInfo,
    Dataset,
    errors,
    setting,
)
from vitbench.kit import (
    Course,
    FineTuning,
    Shuffled,
    Steps,
    Surroundings,
)
from vitbench_protocols.detection.detector import Detector
from vitbench_protocols.detection.inference import Problem, detect_all, normalized
from vitbench_protocols.detection.scores import evaluate_kind
from vitbench_protocols.detection.views import View, Views, read_view, trained_on

MOMENTUM = 0.9  # of SGD
SMALLEST = 32  # px: images with a shorter side are not trained on, as in mmdetection


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """How long and how fast a detector learns."""

    epochs: int = setting(12, help="times that every training image is seen", minimum=1)
    drops: tuple[int, ...] = setting(
        (8, 11), help="epochs after which the rate falls to a tenth", minimum=0
    )
    batch_size: int = setting(8, help="images of a step, over all processes", minimum=1)
    optimizer: Literal["adamw", "sgd"] = setting(
        "adamw", help="what moves the weights", choices=("adamw", "sgd")
    )
    learning_rate: float = setting(5e-5, help="after the warm-up", minimum=0)
    weight_decay: float = setting(0.05, help="of the optimizer", minimum=0)
    undecayed: tuple[str, ...] = setting(
        ("pos_embed", "cls_token", "norm"), help="parts of names of weights that do not decay"
    )
    layer_decay: float = setting(
        1.0, help="rate of a block over that of the next one; 1: the same", minimum=0.01, maximum=1
    )
    warmup_steps: int = setting(1000, help="steps of linear warm-up, from a thousandth", minimum=0)
    accumulate: int = setting(
        1, help="parts of a batch to save memory; BatchNorm sees the parts", minimum=1
    )
    check_epochs: int = setting(
        1, help="epochs between scores for the curve; 0: none", minimum=0, identity=False
    )

    def course(self, images: int, info: BackboneInfo) -> Course:
        """Return what the core's loop needs to know, for a number of training images."""
        per_epoch = -(-images // self.batch_size)
        return Course(
            steps=self.epochs * per_epoch,
            batch_size=self.batch_size,
            rate=Steps(
                self.learning_rate,
                at_steps=tuple(epoch * per_epoch for epoch in self.drops),
                warmup_steps=self.warmup_steps,
            ),
            weight_decay=self.weight_decay,
            undecayed=self.undecayed,
            momentum=MOMENTUM if self.optimizer == "sgd" else None,
            shares=self.shares(info),
            accumulate=self.accumulate,
            check_every=self.check_epochs * per_epoch,
        )

    def shares(self, info: BackboneInfo) -> dict[str, float]:
        """Return how much of the rate parts of a ViT get: less, the earlier they come.

        Source:
            Bao et al., BEiT, ICLR 2022; ViTDet (see `maps.SimplePyramid`).
        """
        if self.layer_decay == 1:
            return {}
        blocks = {
            f"backbone.blocks.{block}.": self.layer_decay ** (info.depth - block)
            for block in range(info.depth)
        }
        first = self.layer_decay ** (info.depth + 1)
        names = ("patch_embed", "pos_embed", "cls_token", "reg_token")
        return blocks | {f"backbone.{name}": first for name in names}


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
        targets = [
            {
                name: torch.from_numpy(getattr(view, name)).to(context.device)
                for name in ("boxes", "labels", "masks", "outlined")
            }
            for view in samples
        ]
        with context.autocast():
            found = self.model.losses(images, targets, context.seed, positions)
        return {"loss": torch.stack(list(found.values())).sum(), **found}

    def check(self) -> Mapping[str, float]:
        """Score the detector on the validation images."""
        detections = detect_all(self.problem, self.model)
        scores = {}
        for kind in self.problem.truth.kinds:
            found = evaluate_kind(self.problem.truth, detections, kind)
            for name, ious in (("ap", slice(0, 10)), ("ap50", slice(0, 1))):
                value = found.ap(ious, 0)
                if value is not None:
                    scores[f"{name}_{kind}"] = value
        return scores


def places_to_learn(dataset: Dataset[Any]) -> list[int]:
    """Return the places of the images that show something to learn from.

    Raises:
        DatasetError: There are none.
    """
    source: Any = dataset
    found = []
    for place in range(len(dataset)):
        target = source.target(place)
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
    info = detector.taps.info
    around = Surroundings(
        device=context.device,
        workers=context.workers,
        scratch=context.scratch,
        output=context.output,
        progress=context.progress,
    )
    FineTuning(task, learning.course(len(task.places), info), around).finish()
