"""Losses over wide logits, for some images at a time, so that the logits are never all in memory.

A head of 65,536 prototypes turns the patches of 128 images into tens of gigabytes of logits. Only
their loss and the gradient by the head's input are needed, and both are sums over images.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from vitbench.objectives.heads import ProjectionHead
from vitbench.objectives.precision import single_precision

AT_ONCE = 1 << 29  # logits: 2 GiB in single precision
Logits = list[Tensor]  # of each group of crops, (C, b, n, K)
# of images and their logits: the mean loss, and what else is measured
Term = Callable[[slice, Logits], tuple[Tensor, Tensor]]


class WideLogits:
    """Logits of a head for some features, computed image by image.

    Args:
        head: A `ProjectionHead`, or any module that gives logits.
        groups: Features of crops of one size each, shape (C, B, n, D): crops, images, features of
            an image, width. All of them pass the head's layers before the last one together.
    """

    def __init__(self, head: nn.Module, groups: Sequence[Tensor]) -> None:
        rows = torch.cat([group.flatten(0, 2) for group in groups])
        self.prototypes: Tensor | None = None
        if isinstance(head, ProjectionHead):
            points, self.prototypes = head.project(rows), head.last_layer.rows()
        else:
            points = head(rows)
        parts = torch.split(points, [group.shape[:3].numel() for group in groups])
        self.points = [
            part.view(*group.shape[:3], -1) for part, group in zip(parts, groups, strict=True)
        ]  # (C, B, n, d) each
        self.images = groups[0].shape[1]
        width = points.shape[-1] if self.prototypes is None else len(self.prototypes)
        self.of_an_image = len(points) * width // self.images

    def of(self, images: slice) -> Logits:
        """Return the logits of some images, (C, b, n, K) of each group."""
        return [logits_of(part[:, images], self.prototypes) for part in self.points]


def logits_of(points: Tensor, prototypes: Tensor | None) -> Tensor:
    """Return points (..., d) times prototypes (K, d); without any, the points are logits."""
    return points if prototypes is None else functional.linear(points, prototypes)


def mean_loss(student: WideLogits, term: Term, *, more: int = 0) -> tuple[Tensor, Tensor]:
    """Return the mean of a term over all images, with gradient, and of what else it measures.

    Args:
        student: What the term's logits are made of; gradients flow to its points and prototypes.
        term: Takes a slice of the images and their logits.
        more: Logits of an image that the term makes by itself, such as the teacher's.
    """
    step = max(1, AT_ONCE // (student.of_an_image + more))
    parts = [slice(at, min(at + step, student.images)) for at in range(0, student.images, step)]
    run: Any = _InParts.apply
    value, measured = run(term, parts, student.prototypes, *student.points)
    return value, measured


class _InParts(torch.autograd.Function):
    """The mean of a term, whose gradients are taken part by part while the logits are there."""

    @staticmethod
    def forward(
        ctx: Any, term: Term, parts: list[slice], prototypes: Tensor | None, *points: Tensor
    ) -> tuple[Tensor, Tensor]:
        rows = None if prototypes is None else prototypes.detach().requires_grad_()
        gradients = [torch.empty_like(each) for each in points]
        values, measures = [], []
        for part in parts:
            share = (part.stop - part.start) / parts[-1].stop
            leaves = [each[:, part].detach().requires_grad_() for each in points]
            with torch.enable_grad():
                value, measured = term(part, [logits_of(leaf, rows) for leaf in leaves])
                torch.autograd.backward(value if share == 1 else value * share)
            for gradient, leaf in zip(gradients, leaves, strict=True):
                assert leaf.grad is not None
                gradient[:, part] = leaf.grad
            values.append(value.detach() if share == 1 else value.detach() * share)
            measures.append(measured if share == 1 else measured * share)
        ctx.save_for_backward(None if rows is None else rows.grad, *gradients)
        return _sum(values), _sum(measures)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor, _by_measure: Tensor) -> tuple[Any, ...]:
        of_rows, *of_points = ctx.saved_tensors
        to_rows = None if of_rows is None else of_rows * by_value
        return (None, None, to_rows, *(each * by_value for each in of_points))


def _sum(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum() if len(values) > 1 else values[0]


@single_precision
def cross_entropy(logits: Tensor, wanted: Tensor, temperature: float, *, targets: int) -> Tensor:
    """Return the summed cross-entropy of logits against distributions, each kept wide once only.

    Args:
        logits: Shape (..., K).
        wanted: The sum of some distributions for each row, of a shape that broadcasts to that.
        temperature: Of the softmax.
        targets: How many distributions are in the sum.
    """
    run: Any = _CrossEntropy.apply
    value: Tensor = run(logits, wanted, temperature, targets)
    return value


class _CrossEntropy(torch.autograd.Function):
    """Cross-entropy whose gradient takes the place of the log-probabilities."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, wanted: Tensor, temperature: float, targets: int
    ) -> Tensor:
        sure = torch.mul(logits, 1 / temperature).log_softmax(dim=-1)
        value = (wanted * sure).sum().neg()
        sure.exp_().mul_(targets / temperature).sub_(wanted, alpha=1 / temperature)
        ctx.save_for_backward(sure)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_value: Tensor) -> tuple[Any, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * by_value, None, None, None
