"""EsViT: a region of the student predicts the teacher's region that looks most like it."""

import torch
from torch import Tensor
from torch.nn import functional

from vitbench.models.aggregated import patch_tokens
from vitbench.objectives.distillation import (
    DistillationObjective,
    entropy,
    targets,
)
from vitbench.objectives.objective import Branch, TermLoss
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Region
from vitbench.objectives.wide_logits import Logits, WideLogits, cross_entropy, mean_loss

TEACHERS = 2  # global crops: each is a teacher for every other crop


class RegionObjective(DistillationObjective[Region]):
    """The region term with its center."""

    def forward(self, student: Branch, teacher: Branch, progress: Progress) -> TermLoss:
        """See `Objective.forward`."""
        groups = regions(student)
        with torch.no_grad():
            seen = torch.stack(teacher.patch_features(TEACHERS))  # (2, B, N, D)
            taught = WideLogits(teacher.head, [seen])
            matches = [best_match(group, seen) for group in groups]
        learned = WideLogits(student.head, groups)
        temperature = self.settings.teacher_temperature_at(progress)

        def term(images: slice, logits: Logits) -> tuple[Tensor, Tensor]:
            with torch.no_grad():
                (teacher_logits,) = taught.of(images)
                self.center.observe(teacher_logits.flatten(0, 2))
                wanted = targets(teacher_logits, self.center.value, temperature)
                spread = entropy(wanted)
            mine = [match[:, :, images] for match in matches]
            value = region_loss(logits, wanted, mine, self.settings.student_temperature)
            return value, spread

        value, spread = mean_loss(learned, term, more=taught.of_an_image)
        return TermLoss(value, {"entropy": spread, "kl": value.detach() - spread})


def regions(branch: Branch) -> list[Tensor]:
    """Return the patch tokens of each group of crops, (C, B, N, D)."""
    groups = [patch_tokens(branch.features(group)) for group in range(len(branch.groups))]
    return [
        tokens.reshape(crops, -1, *tokens.shape[1:])
        for crops, tokens in zip(branch.groups, groups, strict=True)
    ]


@single_precision
def best_match(regions: Tensor, others: Tensor) -> Tensor:
    """Return, for each region, the most similar one of each of some other crops, by cosine.

    Args:
        regions: Features of some crops, shape (C, B, n, D).
        others: Features of the other crops, shape (T, B, N, D).

    Returns:
        Indices below N, shape (T, C, B, n).
    """
    unit, other = (functional.normalize(x, dim=-1) for x in (regions, others))
    return torch.stack([(unit @ each.mT).argmax(dim=-1) for each in other])


def region_loss(
    student: list[Tensor], wanted: Tensor, matches: list[Tensor], temperature: float
) -> Tensor:
    """Return the mean over all pairs of a teacher crop and another crop, as `view_loss` does.

    Args:
        student: Logits of the regions of each group of crops, (C, B, n, K); the two teacher crops
            come first.
        wanted: Targets of the teacher crops, shape (2, B, N, K).
        matches: For each group, the region of each teacher crop to follow, (2, C, B, n).
        temperature: Of the student's softmax.
    """
    _, B, N, _ = wanted.shape
    rows = wanted.flatten(0, 2)  # (2 * B * N, K)
    first = torch.arange(TEACHERS * B, device=wanted.device).view(TEACHERS, 1, B, 1) * N
    sums, crops = [], 0
    for logits, match in zip(student, matches, strict=True):
        index, own = match + first, max(TEACHERS - crops, 0)  # crops that are teachers themselves
        if own:
            other = torch.stack([index[1, 0], index[0, 1]])
            swapped = cross_entropy(logits[:own], rows[other], temperature, targets=1)
            sums.append(swapped / logits.shape[2])
        if len(logits) > own:
            both = rows[index[0, own:]].add_(rows[index[1, own:]])
            sums.append(
                cross_entropy(logits[own:], both, temperature, targets=TEACHERS) / logits.shape[2]
            )
        crops += len(logits)
    return torch.stack(sums).sum() / (TEACHERS * (crops - 1) * B)
