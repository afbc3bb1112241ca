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
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Patch
from vitbench.objectives.wide_logits import Logits, WideLogits, cross_entropy, mean_loss


class PatchObjective(DistillationObjective[Patch]):
    """The patch term with its center."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        temperature = self.settings.teacher_temperature_at(progress)
        crops = sum(student.groups)
        values, spreads = [], []
        for group, count in enumerate(student.groups):
            value, spread = self._of_group(student, teacher, group, temperature)
            values.append(value * (count / crops))
            spreads.append(spread * (count / crops))
        value, spread = torch.stack(values).sum(), torch.stack(spreads).sum()
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})

    def _of_group(
        self, student: Branch, teacher: Branch, group: int, temperature: float
    ) -> tuple[Tensor, Tensor]:
        """Return the mean loss of the crops of one size, and the entropy of their targets."""
        with torch.no_grad():
            summaries = self._summaries(
                teacher.backbone, teacher.features(group), teacher.annotation(group)
            )
            taught = WideLogits(teacher.head, [summaries[None]])
        patches = _aggregation(student.backbone).normalize(patch_tokens(student.features(group)))
        learned = WideLogits(student.head, [patches[None]])

        def term(images: slice, logits: Logits) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                (teacher_logits,) = taught.of(images)
                self.center.observe(teacher_logits.flatten(0, 2))
                wanted = targets(teacher_logits, self.center.value, temperature)
                spread = entropy(wanted)
            return patch_loss(logits[0], wanted, self.settings.student_temperature), spread

        return mean_loss(learned, term, more=taught.of_an_image)

    def _summaries(self, backbone: Backbone, features: Features, truth: Tensor | None) -> Tensor:
        """Return the summary of each patch's positives, shape (rows, N, D)."""
        index, keep = choose_positives(
            features.patches,
            rule=self.settings.positives,
            k=self.settings.k,
            wrap=self.settings.wrap,
            truth=truth,
        )
        return _aggregation(backbone).summarize(patch_tokens(features), index, keep)


def patch_loss(student: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy of logits (..., K) against distributions of their shape."""
    return cross_entropy(student, wanted, temperature, targets=1) / student[..., 0].numel()


def _aggregation(backbone: Backbone) -> ClassAttention:
    whole: Any = backbone  # `Patch.build` has made sure that it has class attention
    aggregation: ClassAttention = whole.ca_head
    return aggregation
