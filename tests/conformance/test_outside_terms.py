"""The loss terms of the outside recipes, each against its formula written as plain loops."""

import math
from typing import Any

import torch
from methods.ibot import masked_loss
from methods.koleo import koleo
from methods.lars_steps import LarsSteps
from methods.mae import painting_loss, patch_pixels
from methods.sinkhorn import balanced
from torch import Tensor, nn

EXACT: Any = {"atol": 1e-12, "rtol": 0.0}


def numbers(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_ibots_hidden_patches_count_by_image() -> None:
    student, wanted = numbers(3, 4, 5), numbers(3, 4, 5, seed=1).softmax(dim=-1)
    hidden = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 0]]).bool()
    total = 0.0
    for image in range(3):
        losses = []
        for patch in range(4):
            if hidden[image, patch]:
                logs = (student[image, patch] / 0.1).log_softmax(dim=0)
                losses.append(-sum((wanted[image, patch] * logs).tolist()))
        total += sum(losses) / max(len(losses), 1)
    found = masked_loss(student, wanted, hidden, 0.1)
    torch.testing.assert_close(found, torch.tensor(total / 3, dtype=torch.float64), **EXACT)


def test_maes_loss_is_that_of_hidden_patches_normalized_one_by_one() -> None:
    images, painted = numbers(2, 3, 9, 8), numbers(2, 4, 48, seed=1)  # one row is cut off
    hidden = torch.tensor([[True, False, True, True], [False, True, True, True]])
    losses = []
    for image in range(2):
        for number in range(4):
            if not hidden[image, number]:
                continue
            top, left = divmod(number, 2)
            pixels = images[image, :, 4 * top : 4 * top + 4, 4 * left : 4 * left + 4].flatten()
            mean = sum(pixels.tolist()) / 48
            variance = sum((value - mean) ** 2 for value in pixels.tolist()) / 47
            squares = [
                ((value - mean) / math.sqrt(variance + 1e-6) - guess) ** 2
                for value, guess in zip(
                    pixels.tolist(), painted[image, number].tolist(), strict=True
                )
            ]
            losses.append(sum(squares) / 48)
    found = painting_loss(painted, patch_pixels(images, 4), hidden)
    expected = torch.tensor(sum(losses) / len(losses), dtype=torch.float64)
    torch.testing.assert_close(found, expected, **EXACT)


def test_koleo_is_the_logarithm_of_the_nearest_distance() -> None:
    features = numbers(6, 4).requires_grad_()
    rows = [row / row.norm() for row in features.detach()]
    total = 0.0
    for number, row in enumerate(rows):
        others = [other for place, other in enumerate(rows) if place != number]
        nearest = max(others, key=lambda other: float(row @ other))
        total -= math.log(float((row - nearest + 1e-8).norm()) + 1e-8)
    found = koleo(features)
    torch.testing.assert_close(found, torch.tensor(total / 6, dtype=torch.float64), **EXACT)
    assert torch.autograd.gradcheck(koleo, features)


def test_sinkhorn_gives_every_prototype_the_same_share() -> None:
    logits = numbers(8, 4)
    found = balanced(logits, 0.5, 3)
    shares = [[math.exp(value / 0.5) for value in row] for row in logits.tolist()]
    for _ in range(3):
        sums = [sum(row[column] for row in shares) for column in range(4)]
        shares = [[v / s / 4 for v, s in zip(row, sums, strict=True)] for row in shares]
        shares = [[value / sum(row) / 8 for value in row] for row in shares]
    expected = torch.tensor([[8 * value for value in row] for row in shares], dtype=torch.float64)
    torch.testing.assert_close(found, expected, **EXACT)
    even = balanced(logits, 0.5, 200).sum(dim=0)
    torch.testing.assert_close(even, torch.full((4,), 2.0, dtype=torch.float64), atol=1e-9, rtol=0)


def test_lars_moves_a_matrix_by_its_norm_over_its_gradients() -> None:
    matrix, bias = nn.Parameter(numbers(3, 2)), nn.Parameter(numbers(3, seed=1))
    groups: list[dict[str, Any]] = [{"params": [matrix], "weight_decay": 0.1}, {"params": [bias]}]
    optimizer = LarsSteps(groups, momentum=0.5, trust=0.01)
    expected, moved = [matrix.detach().clone(), bias.detach().clone()], [0.0, 0.0]
    for step in range(2):
        for group in optimizer.param_groups:
            group["lr"] = 0.3
        matrix.grad, bias.grad = numbers(3, 2, seed=step + 2), numbers(3, seed=step + 5)
        gradient = matrix.grad + 0.1 * expected[0]
        gradient = gradient * (0.01 * expected[0].norm() / gradient.norm())
        for place, part in enumerate((gradient, bias.grad)):
            moved[place] = 0.5 * moved[place] + part
            expected[place] = expected[place] - 0.3 * moved[place]
        optimizer.step()
    torch.testing.assert_close([matrix.data, bias.data], expected, **EXACT)
