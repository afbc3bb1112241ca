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
from vitbench.objectives.wide_logits import Logits, WideLogits, cross_entropy, mean_loss

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
        student: Logits of all crops, shape (V, ..., K); the two teacher crops come first.
        wanted: Targets of the teacher crops, distributions of shape (2, ..., K).
        temperature: Of the student's softmax.
    """
    total = cross_entropy(student[:TEACHERS], wanted.flip(0), temperature, targets=1)
    if len(student) > TEACHERS:
        both = wanted.sum(0)
        total = total + cross_entropy(student[TEACHERS:], both, temperature, targets=TEACHERS)
    return total / (TEACHERS * (len(student) - 1) * student[0, ..., 0].numel())
