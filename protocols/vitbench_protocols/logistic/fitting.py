"""Multinomial logistic regression for several strengths of the penalty at once, by L-BFGS.

Three things make it quick. The features are rotated to their principal axes, where the Hessian is
nearly a diagonal, from which L-BFGS's estimate starts. Logits are linear in the weights, so that a
line search needs no further product with the features. All penalties share the two products of an
iteration, and a fit that has ended leaves the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

REFRESH = 5  # iterations between two looks at the Hessian's diagonal
MEMORY = 10  # pairs of steps and gradient changes that L-BFGS remembers
SEARCHES = 20  # evaluations of a line search
FLAT = 0.3  # share of a line's first slope at which its search ends
BLOCK = 1 << 20  # logits that are looked at together
TINY = 1e-12  # share of the largest variance below which a direction of the features is none


@dataclass(frozen=True, slots=True)
class Classifiers:
    """One linear classifier for each C, over the classes that training images have."""

    weight: Tensor  # (G, K, D)
    bias: Tensor  # (G, K)
    classes: Tensor  # (K,) class numbers of the rows

    def limited_to(self, classes: Tensor | None) -> "Classifiers":
        """Return those of the classes that are in `classes`; None: all."""
        if classes is None:
            return self
        kept = torch.isin(self.classes, classes.to(self.classes.device))
        return Classifiers(self.weight[:, kept], self.bias[:, kept], self.classes[kept])

    def ranked(self, features: Tensor, count: int) -> Tensor:
        """Return the `count` best classes of features (n, D), (G, n, count), best first."""
        found = [
            self.classes[(features @ weight.T + bias).topk(min(count, len(bias)), dim=1).indices]
            for weight, bias in zip(self.weight, self.bias, strict=True)
        ]
        return torch.stack(found)


def fit(
    features: Tensor,
    labels: Tensor,
    c_values: Sequence[float],
    *,
    intercept: bool = True,
    iterations: int = 1000,
    tolerance: float = 1e-8,
) -> Classifiers:
    """Minimize C times the summed cross-entropy plus half the squared norm of the weights.

    Args:
        features: (n, D), of floating point; the fit is as exact as their type.
        labels: (n,) class numbers; a class without an image is never predicted.
        c_values: One classifier is fitted for each.
        intercept: Whether there are biases, which the penalty leaves out.
        iterations: The most that are made.
        tolerance: A fit ends when a step gains a smaller share of its loss.

    Source:
        Nocedal, Updating quasi-Newton matrices with limited storage, Math. Comp. 1980.
    """
    classes, numbers = torch.unique(labels, return_inverse=True)
    mean = features.mean(dim=0) if intercept else torch.zeros_like(features[0])
    axes, rows = _principal(features - mean)
    ridge = features.new_tensor([1 / (c * len(features)) for c in c_values])
    loss = _Loss(rows, numbers, len(classes), ridge, intercept=intercept)
    theta = _minimize(loss, iterations, tolerance)
    weight = theta[..., : axes.shape[1]] @ axes.T
    bias = theta[..., -1] if intercept else torch.zeros_like(weight[..., 0])
    return Classifiers(weight, bias - weight @ mean, classes)


def _principal(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return principal axes (D, r) and the features in them, (n, r); no direction is empty."""
    if len(features) < features.shape[1]:
        _, values, axes = torch.linalg.svd(features, full_matrices=False)
        variances, axes = values.square(), axes.T
    else:
        variances, axes = torch.linalg.eigh(features.T @ features)
    axes = axes[:, variances > TINY * variances.max()]
    return axes, features @ axes


class _Loss:
    """Mean cross-entropy plus penalty, of parameters theta (g, K, r + 1), for g penalties."""

    def __init__(
        self, rows: Tensor, labels: Tensor, classes: int, ridge: Tensor, *, intercept: bool
    ) -> None:
        ones = rows.new_ones(len(rows), int(intercept))
        self.rows, self.labels, self.classes = torch.cat([rows, ones], dim=1), labels, classes
        penalized = torch.ones_like(self.rows[0])
        penalized[rows.shape[1] :] = 0
        self.ridge = ridge[:, None, None] * penalized  # (g, 1, r + 1)
        self.squares = self.rows.square()

    def keep(self, chosen: Tensor) -> None:
        """Go on with some penalties only."""
        self.ridge = self.ridge[chosen]

    def logits(self, theta: Tensor) -> Tensor:
        """Return (n, g, K)."""
        return (self.rows @ theta.flatten(0, 1).T).view(len(self.rows), -1, self.classes)

    def gradient(self, theta: Tensor, logits: Tensor) -> Tensor:
        """Return the gradient by theta, (g, K, r + 1)."""
        found = torch.zeros_like(theta).flatten(0, 1)
        for block in self._blocks(logits):
            part = logits[block].softmax(dim=2)
            part.scatter_add_(2, self._places(block, part), -torch.ones_like(part[..., :1]))
            found.addmm_(part.flatten(1).T, self.rows[block])
        return found.view_as(theta) / len(self.rows) + self.ridge * theta

    def diagonal(self, logits: Tensor) -> Tensor:
        """Return the diagonal of the Hessian, (g, K, r + 1)."""
        found = self.rows.new_zeros(logits[0].numel(), self.rows.shape[1])
        for block in self._blocks(logits):
            part = logits[block].softmax(dim=2)
            found.addmm_((part * (1 - part)).flatten(1).T, self.squares[block])
        return found.view(*logits.shape[1:], -1) / len(self.rows) + self.ridge

    def along(self, logits: Tensor, change: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the cross-entropy of logits + t change, its slope and curvature in t, (g,)."""
        sums = [torch.zeros_like(t) for _ in range(3)]
        for block in self._blocks(logits):
            step = change[block]
            moved = torch.addcmul(logits[block], step, t[:, None])
            places = self._places(block, step)
            top = moved.amax(dim=2, keepdim=True)
            moved -= top
            right = moved.gather(2, places)[..., 0]
            weights = moved.exp_()
            total = weights.sum(dim=2)
            weighted = weights * step
            mean = weighted.sum(dim=2) / total
            sums[0] += (total.log() - right).sum(dim=0)
            sums[1] += (mean - step.gather(2, places)[..., 0]).sum(dim=0)
            sums[2] += ((weighted * step).sum(dim=2) / total - mean.square()).sum(dim=0)
        loss, slope, curvature = (value / len(self.rows) for value in sums)
        return loss, slope, curvature

    def _blocks(self, logits: Tensor) -> list[slice]:
        size = max(1, BLOCK // max(1, logits[0].numel()))
        return [slice(at, at + size) for at in range(0, len(logits), size)]

    def _places(self, block: slice, like: Tensor) -> Tensor:
        return self.labels[block][:, None, None].expand(-1, like.shape[1], 1)


def _minimize(loss: _Loss, iterations: int, tolerance: float) -> Tensor:
    """Return theta for every penalty."""
    theta = loss.rows.new_zeros(len(loss.ridge), loss.classes, loss.rows.shape[1])
    found, active = theta.clone(), torch.arange(len(theta), device=theta.device)
    logits = loss.logits(theta)
    gradient = loss.gradient(theta, logits)
    steps: list[tuple[Tensor, Tensor]] = []
    for number in range(iterations):
        if number % REFRESH == 0:
            curvature = loss.diagonal(logits)
        direction = _direction(gradient, steps, curvature)
        change = loss.logits(direction)
        t, gain = _line_search(loss, theta, direction, logits, change)
        step = t[:, None, None] * direction
        theta = theta + step
        logits.addcmul_(change, t[:, None])
        found[active] = theta
        going = gain > tolerance
        if not going.any():
            break
        before, gradient = gradient, loss.gradient(theta, logits)
        steps = [*steps[1 - MEMORY :], (step, gradient - before)]
        if not going.all():
            active, theta, logits = active[going], theta[going], logits[:, going]
            gradient, curvature = gradient[going], curvature[going]
            steps = [(step[going], change[going]) for step, change in steps]
            loss.keep(going)
    return found


def _direction(
    gradient: Tensor, steps: Sequence[tuple[Tensor, Tensor]], diagonal: Tensor
) -> Tensor:
    """Return the direction of descent, (g, K, r + 1), from the Hessian's diagonal and steps."""
    direction, scales = -gradient, []
    for step, change in reversed(steps):
        inverse = _inverse(_dot(step, change))
        scale = _dot(step, direction) * inverse
        direction = direction - scale[:, None, None] * change
        scales.append((scale, inverse))
    start = gradient.new_ones(len(gradient))
    if steps:
        step, change = steps[-1]
        curved = _dot(change, change / diagonal)
        start = torch.where(curved > 0, _dot(step, change) * _inverse(curved), start)
    direction = start[:, None, None] * direction / diagonal
    for (step, change), (scale, inverse) in zip(steps, reversed(scales), strict=True):
        back = _dot(change, direction) * inverse
        direction = direction + (scale - back)[:, None, None] * step
    return direction


def _line_search(
    loss: _Loss, theta: Tensor, direction: Tensor, logits: Tensor, change: Tensor
) -> tuple[Tensor, Tensor]:
    """Find how far to go along each direction, by Newton steps that a bracket holds in.

    Returns:
        The length, (g,), and about which share of the loss is gained, (g,).
    """
    ridge_slope = _dot(loss.ridge * theta, direction)
    ridge_curvature = _dot(loss.ridge * direction, direction)
    low, t = torch.zeros_like(ridge_slope), torch.ones_like(ridge_slope)
    high = torch.full_like(t, torch.inf)
    value, first, _ = loss.along(logits, change, low)
    value, first = value + 0.5 * _dot(loss.ridge * theta, theta), first + ridge_slope
    for _ in range(SEARCHES):
        _, slope, curvature = loss.along(logits, change, t)
        slope, curvature = slope + ridge_slope + t * ridge_curvature, curvature + ridge_curvature
        wrong = slope.abs() > FLAT * first.abs()
        if not wrong.any():
            break
        low, high = torch.where(slope < 0, t, low), torch.where(slope > 0, t, high)
        newton = t - slope / curvature.clamp(min=torch.finfo(t.dtype).tiny)
        middle = torch.where(high.isinf(), 4 * t, (low + high) / 2)
        inside = (newton > low) & (newton < torch.minimum(high, 10 * t))
        t = torch.where(wrong, torch.where(inside, newton, middle), t)
    t = torch.where(first < 0, t, torch.zeros_like(t))
    return t, -first * t / value


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum(dim=(1, 2))


def _inverse(value: Tensor) -> Tensor:
    """Return 1 / value, 0 where the curvature along a step is not positive."""
    return torch.where(value > 0, 1 / value, torch.zeros_like(value))
