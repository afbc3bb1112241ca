"""EsViT: a region of the student predicts the teacher's region that looks most like it."""

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.objectives.distillation import (
    DistillationObjective,
    entropy,
    targets,
)
from vitbench.objectives.objective import Branch, TermLoss
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Region

TEACHERS = 2  # global crops: each is a teacher for every other crop


class RegionObjective(DistillationObjective[Region]):
    """The region term with its center."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        learned = student.patch_features()
        with torch.no_grad():
            seen = torch.stack(teacher.patch_features(TEACHERS))  # (2, B, N, D)
            teacher_logits = teacher.head(seen.flatten(0, 2))
            self.center.observe(teacher_logits)
            wanted = targets(
                teacher_logits,
                self.center.value,
                self.settings.teacher_temperature_at(progress),
            ).view(*seen.shape[:3], -1)
            matches = [[best_match(crop, other) for other in seen] for crop in learned]
            spread = entropy(wanted)
        logits = student.head(torch.cat([crop.flatten(0, 1) for crop in learned]))
        rows = [crop.shape[0] * crop.shape[1] for crop in learned]
        parts = [
            part.view(*crop.shape[:2], -1)
            for part, crop in zip(torch.split(logits, rows), learned, strict=True)
        ]
        value = region_loss(parts, wanted, matches, self.settings.student_temperature)
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})


@single_precision
def best_match(regions: Tensor, others: Tensor) -> Tensor:
    """Return, for each region, the most similar one of another crop by cosine.

    Args:
        regions: Features of one crop, shape (B, n, D).
        others: Features of the other crop, shape (B, N, D).

    Returns:
        Indices below N, shape (B, n).
    """
    unit, other = (functional.normalize(x, dim=-1) for x in (regions, others))
    return (unit @ other.transpose(1, 2)).argmax(dim=-1)


@single_precision
def region_loss(
    student: list[Tensor], wanted: Tensor, matches: list[list[Tensor]], temperature: float
) -> Tensor:
    """Return the mean over all pairs of a teacher crop and another crop, as `view_loss` does.

    Args:
        student: Logits of each crop's regions, shape (B, n, K) each; the teacher's crops first.
        wanted: Targets of the teacher's crops, shape (T, B, N, K).
        matches: For each crop and each teacher's crop, the region to follow, shape (B, n).
        temperature: Of the student's softmax.
    """
    pairs = []
    for crop, regions in enumerate(student):
        logits = regions / temperature
        spread = logits.logsumexp(dim=-1).mean()
        for other, targets_ in enumerate(wanted):
            if other != crop:
                index = matches[crop][other].unsqueeze(-1).expand(-1, -1, targets_.shape[-1])
                agreement = (targets_.gather(1, index) * logits).sum(dim=-1).mean()
                pairs.append(spread - agreement)
    return torch.stack(pairs).mean()
