"""Enlarging once gives the classes of enlarging twice."""

import pytest
import torch
from torch.nn import functional

from vitbench_protocols.segmentation.enlarging import largest_class


def enlarged(scores: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    if tuple(scores.shape[-2:]) == size:
        return scores
    return functional.interpolate(scores, size=size, mode="bilinear", align_corners=False)


@pytest.mark.parametrize(
    ("grid", "whole", "view", "size"),
    [
        ((8, 11), (128, 176), (128, 170), (96, 131)),  # padded, then made smaller
        ((8, 11), (128, 176), (121, 176), (300, 401)),  # and larger
        ((8, 11), (128, 176), (128, 176), (128, 176)),  # of its own size: one step
        ((1, 5), (16, 80), (7, 80), (33, 200)),  # one row of patches
        ((30, 40), (30, 40), (30, 39), (30, 39)),  # a score for each pixel
    ],
)
def test_one_step_gives_the_classes_of_two(
    grid: tuple[int, int], whole: tuple[int, int], view: tuple[int, int], size: tuple[int, int]
) -> None:
    scores = torch.rand(1, 21, *grid, generator=torch.Generator().manual_seed(0))
    twice = enlarged(enlarged(scores, whole)[..., : view[0], : view[1]], size)[0]
    once = largest_class(scores[0], whole, view, size)
    assert once.shape == size
    best = twice.max(dim=0).values
    chosen = twice.gather(0, once[None])[0]
    assert torch.allclose(chosen, best, rtol=0, atol=1e-6)  # another class only where two are equal
    assert (once == twice.argmax(dim=0)).double().mean() > 0.999


def test_of_equal_scores_the_first_class_is_taken() -> None:
    scores = torch.ones(3, 2, 2)
    assert (largest_class(scores, (32, 32), (32, 32), (50, 50)) == 0).all()
