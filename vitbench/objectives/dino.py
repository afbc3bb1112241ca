"""DINO: the student's view of an image predicts the teacher's view of it, across crops."""

import torch
from torch import Tensor

from vitbench.objectives.distillation import (
    DistillationObjective,
    entropy,
    targets,
)
from vitbench.objectives.objective import Branch, TermLoss
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Dino

TEACHERS = 2  # global crops: each is a teacher for every other crop


class DinoObjective(DistillationObjective[Dino]):
    """The view term with its center."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        with torch.no_grad():
            views = teacher.image_features(
                None if self.settings.center_crops == "all" else TEACHERS
            )
            teacher_logits = teacher.head(views.flatten(0, 1))
            self.center.observe(teacher_logits)
            wanted = targets(
                teacher_logits.unflatten(0, views.shape[:2])[:TEACHERS],
                self.center.value,
                self.settings.teacher_temperature_at(progress),
            )
            spread = entropy(wanted)
        seen = student.image_features()
        logits = student.head(seen.flatten(0, 1)).unflatten(0, seen.shape[:2])
        value = view_loss(logits, wanted, self.settings.student_temperature)
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})


@single_precision
def view_loss(student: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy over all pairs of a teacher crop and another crop.

    With E_v the log-sum-exp of crop v and q_i the target of crop i, the sum over the pairs is
    sum_v (pairs of v) E_v - <q_i, logits_v>, so no log-softmax of the size of the logits is made.

    Args:
        student: Logits of all crops, shape (V, B, K); the teacher's crops come first.
        wanted: Targets, distributions of shape (T, B, K), T <= V.
        temperature: Of the student's softmax.
    """
    V, B, _ = student.shape
    T = len(wanted)
    logits = student / temperature
    spread = logits.logsumexp(dim=-1)  # (V, B)
    same = torch.einsum("tbk,tbk->", wanted, logits[:T])
    agreement = torch.einsum("bk,vbk->", wanted.sum(dim=0), logits) - same
    return (T * spread.sum() - spread[:T].sum() - agreement) / (T * (V - 1) * B)
