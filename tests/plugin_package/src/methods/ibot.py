"""iBOT: the student predicts the teacher's view of other crops, and of patches it can't see."""

import torch
from torch import Tensor, nn

from methods.settings import Ibot
from vitbench.api import BackboneInfo
from vitbench.kit import (
    Branch,
    Center,
    Objective,
    PatchMask,
    Progress,
    TermLoss,
    patch_tokens,
    single_precision,
    targets,
    view_loss,
)

GLOBAL = 0  # the group of the two global crops, the only one with hidden patches
TEACHERS = 2


class IbotObjective(Objective):
    """The term with its two centers and the token that stands for a hidden patch."""

    def __init__(self, settings: Ibot, info: BackboneInfo) -> None:
        super().__init__()
        self.settings, self.embed_dim = settings, info.embed_dim
        self.patch_size = info.patch_size
        self.mask_token = nn.Parameter(torch.zeros(info.embed_dim))
        self.center = Center(settings.prototypes, settings.center_momentum)
        self.patch_center = Center(settings.prototypes, settings.center_momentum)

    def build_head(self) -> nn.Module:
        """Return the head that image-level features and patches share."""
        return self.settings.build_head(self.embed_dim)

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        temperature = self.settings.teacher_temperature_at(progress)
        with torch.no_grad():
            seen = teacher.features(GLOBAL)
            wanted = self._targets(teacher.head(seen.pooled), self.center, temperature)
            tokens = patch_tokens(seen)
            wanted_patches = self._targets(
                teacher.head(tokens.flatten(0, 1)), self.patch_center, temperature
            )
        mask = self._mask(student)
        learned = student.features(GLOBAL, mask)
        local = [student.features(group).pooled for group in range(1, len(student.groups))]
        pooled = torch.cat([learned.pooled, *local])
        logits = student.head(pooled)
        batch = len(seen.pooled) // TEACHERS
        views = view_loss(
            logits.view(-1, batch, logits.shape[-1]),
            wanted.view(-1, batch, wanted.shape[-1]),
            self.settings.student_temperature,
        )
        patches = masked_loss(
            student.head(patch_tokens(learned).flatten(0, 1)).view(*tokens.shape[:2], -1),
            wanted_patches.view(*tokens.shape[:2], -1),
            mask.hidden.flatten(1),
            self.settings.student_temperature,
        )
        value = views + self.settings.patch_weight * patches
        return TermLoss(value, {"views": views.detach(), "patches": patches.detach()})

    def after_backward(self, head: nn.Module, progress: Progress) -> None:
        """Keep the head's last layer as it is in the first epochs."""
        if self.settings.freezes(progress):
            head.freeze_last_layer()  # type: ignore[operator]

    def end_step(self) -> None:
        """Move the centers."""
        self.center.update()
        self.patch_center.update()

    def forget_step(self) -> None:
        """See `Objective.forget_step`."""
        self.center.forget()
        self.patch_center.forget()

    def _targets(self, logits: Tensor, center: Center, temperature: float) -> Tensor:
        center.observe(logits)
        return targets(logits, center.value, temperature)

    def _mask(self, student: Branch) -> PatchMask:
        """Hide a random share of the patches of each global crop, none of them in some."""
        side = student.images(GLOBAL).shape[-1] // self.patch_size
        drawn = student.keyed_uniform("ibot-mask", GLOBAL, count=side * side + 2)
        low, high = self.settings.hidden
        share = (low + (high - low) * drawn[:, 0]) * (drawn[:, 1] >= self.settings.whole)
        places = drawn[:, 2:].argsort(dim=1).argsort(dim=1)  # each patch's place in a random order
        hidden = places < (share * side * side).round().unsqueeze(1)
        return PatchMask(hidden.view(-1, side, side), self.mask_token)


@single_precision
def masked_loss(student: Tensor, wanted: Tensor, hidden: Tensor, temperature: float) -> Tensor:
    """Return the cross-entropy of the hidden patches, the mean of each image's mean.

    Args:
        student: Logits, shape (rows, N, K).
        wanted: Distributions of the same shape.
        hidden: Which patches count, shape (rows, N); an image without any counts as 0.
        temperature: Of the student's softmax.
    """
    logits = student / temperature
    losses = logits.logsumexp(dim=-1) - (wanted * logits).sum(dim=-1)
    counts = hidden.sum(dim=1).clamp(min=1)
    return ((losses * hidden).sum(dim=1) / counts).mean()
