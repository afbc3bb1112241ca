"""SelfPatch: a student's patch predicts what the teacher sees in its similar neighbors."""

from typing import Any

import torch
from torch import Tensor

from vitbench.models.aggregated import patch_tokens
from vitbench.models.backbone import Backbone, Features
from vitbench.models.class_attention import ClassAttention
from vitbench.objectives.distillation import (
    DistillationObjective,
    entropy,
    targets,
)
from vitbench.objectives.objective import Branch, TermLoss
from vitbench.objectives.positives import choose_positives
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Patch


class PatchObjective(DistillationObjective[Patch]):
    """The patch term with its center."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        temperature = self.settings.teacher_temperature_at(progress)
        crops = sum(student.groups)
        value = spread = torch.zeros((), device=self.center.value.device)
        for group, count in enumerate(student.groups):
            with torch.no_grad():
                summaries = self._summaries(
                    teacher.backbone, teacher.features(group), teacher.annotation(group)
                )
                teacher_logits = teacher.head(summaries)
                self.center.observe(teacher_logits)
                wanted = targets(teacher_logits, self.center.value, temperature)
                spread = spread + entropy(wanted) * (count / crops)
            patches = _aggregation(student.backbone).normalize(
                patch_tokens(student.features(group))
            )
            logits = student.head(patches.flatten(0, 1))
            loss = patch_loss(logits, wanted, self.settings.student_temperature)
            value = value + loss * (count / crops)
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})

    def _summaries(self, backbone: Backbone, features: Features, truth: Tensor | None) -> Tensor:
        """Return the summary of each patch's positives, shape (rows * N, D)."""
        index, keep = choose_positives(
            features.patches,
            rule=self.settings.positives,
            k=self.settings.k,
            wrap=self.settings.wrap,
            truth=truth,
        )
        return _aggregation(backbone).summarize(patch_tokens(features), index, keep).flatten(0, 1)


@single_precision
def patch_loss(student: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of logits (rows, K) against distributions (rows, K)."""
    logits = student / temperature
    return logits.logsumexp(dim=-1).mean() - (wanted * logits).sum() / len(logits)


def _aggregation(backbone: Backbone) -> ClassAttention:
    whole: Any = backbone  # `Patch.build` has made sure that it has class attention
    aggregation: ClassAttention = whole.ca_head
    return aggregation
