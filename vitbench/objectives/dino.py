"""DINO: the student's view of an image predicts the teacher's view of it, across crops."""

import torch
from torch import Tensor

from vitbench.objectives.distillation import (
    DistillationObjective,
    entropy,
    targets,
)
from vitbench.objectives.objective import Branch, TermLoss
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Dino
from vitbench.objectives.wide_logits import (
    Logits,
    WideLogits,
    cross_entropy,
    mean_loss,
    teacher_sets,
)

TEACHERS = 2  # global crops: each is a teacher for every other crop


class DinoObjective(DistillationObjective[Dino]):
    """The view term with its center."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        with torch.no_grad():
            seen = teacher.image_features(None if self.settings.center_crops == "all" else TEACHERS)
            taught = WideLogits(teacher.head, [seen[:, :, None]])
        learned = WideLogits(student.head, [student.image_features()[:, :, None]])
        temperature = self.settings.teacher_temperature_at(progress)

        def term(images: slice, logits: Logits) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                (teacher_logits,) = taught.of(images)
                self.center.observe(teacher_logits.flatten(0, 2))
                wanted = targets(teacher_logits[:TEACHERS], self.center.value, temperature)
                spread = entropy(wanted)
            value = view_loss(logits[0], wanted, self.settings.student_temperature)
            return value, spread

        value, spread = mean_loss(learned, term, more=taught.of_an_image)
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})


def view_loss(student: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy over all pairs of a teacher crop and another crop.

    Args:
        student: Logits of all crops, shape (V, ..., K); the teacher's crops come first.
        wanted: Targets, distributions of shape (T, ..., K), T <= V.
        temperature: Of the student's softmax.
    """
    V, T = len(student), len(wanted)
    sums = [
        cross_entropy(
            student[crops],
            wanted[others[0]] if len(others) == 1 else wanted[others].sum(0),
            temperature,
            targets=len(others),
        )
        for crops, others in teacher_sets(0, V, T)
    ]
    rows = student[0, ..., 0].numel()
    return torch.stack(sums).sum() / (T * (V - 1) * rows)
