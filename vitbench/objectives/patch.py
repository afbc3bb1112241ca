"""SelfPatch: a student's patch predicts what the teacher sees in its similar neighbours."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from vitbench.errors import MissingAbility
from vitbench.models.aggregated import patch_tokens
from vitbench.models.backbone import Backbone, BackboneInfo, Features
from vitbench.models.class_attention import ClassAttention
from vitbench.objectives.distillation import (
    Distillation,
    DistillationObjective,
    entropy,
    targets,
)
from vitbench.objectives.objective import Branch, CropSet, Progress, TermLoss
from vitbench.objectives.positives import Rule, choose_positives
from vitbench.objectives.precision import single_precision
from vitbench.settings import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch(Distillation):
    """Patch-level self-distillation: the target is a summary of the similar neighbours.

    Source:
        Yun et al., SelfPatch, CVPR 2022; alinlab/SelfPatch, main_selfpatch.py and
        selfpatch_vision_transformer.py (81aef14).
    """

    name: ClassVar[str] = "patch"
    prototypes: int = setting(4096, help="K, width of the logits", minimum=2)
    k: int = setting(4, help="similar neighbours in the target", minimum=1, maximum=8)
    positives: Rule = setting(
        "topk",
        help="which neighbours make the target",
        choices=("topk", "threshold", "ground-truth"),
    )
    wrap: bool = setting(True, help="opposite borders of a crop are adjacent, as in the reference")

    def build(self, info: BackboneInfo) -> "PatchObjective":
        """Return the objective for a backbone.

        Raises:
            MissingAbility: If the backbone has no class attention.
        """
        if info.pooled_from != "class_attention":
            raise MissingAbility(
                f"the patch term needs class attention; {info.arch} pools by {info.pooled_from}.",
                hint="--aggregation class-attention",
            )
        return PatchObjective(self, info)


class PatchObjective(DistillationObjective[Patch]):
    """The patch term with its centre."""

    teacher_crops: CropSet = "all"

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        temperature = self.settings.teacher_temperature_at(progress)
        crops = sum(student.crops)
        value = spread = torch.zeros((), device=self.centre.value.device)
        for group, count in enumerate(student.crops):
            with torch.no_grad():
                summaries = self._summaries(
                    teacher.backbone, teacher.groups[group], teacher.positives[group]
                )
                teacher_logits = teacher.head(summaries)
                self.centre.observe(teacher_logits)
                wanted = targets(teacher_logits, self.centre.value, temperature)
                spread = spread + entropy(wanted) * (count / crops)
            patches = _aggregation(student.backbone).normalize(patch_tokens(student.groups[group]))
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
