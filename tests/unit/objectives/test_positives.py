"""Which neighbors are chosen, on grids small enough to see."""

import itertools

import pytest
import torch
from torch import Tensor

from vitbench.data.adjacency import STEPS
from vitbench.errors import SettingError
from vitbench.objectives.positives import (
    OFFSETS,
    choose_positives,
    neighbor_similarities,
    neighbor_table,
)


def grid(h: int, w: int, *, seed: int = 0) -> Tensor:
    return torch.randn(2, 5, h, w, generator=torch.Generator().manual_seed(seed))


def test_neighbors_stand_in_the_order_of_the_ground_truth() -> None:
    assert OFFSETS == STEPS


@pytest.mark.parametrize(("h", "w"), [(3, 3), (3, 5), (6, 4), (7, 7)])
@pytest.mark.parametrize("wrap", [True, False])
def test_any_grid_has_its_neighbors(h: int, w: int, wrap: bool) -> None:
    index, exists = neighbor_table(h, w, wrap=wrap)
    for (row, column), (place, (down, right)) in itertools.product(
        itertools.product(range(h), range(w)), enumerate(OFFSETS)
    ):
        here, y, x = row * w + column, row + down, column + right
        assert index[here, place] == (y % h) * w + x % w
        assert exists[here, place] == (wrap or (0 <= y < h and 0 <= x < w))


def test_a_grid_of_two_has_no_eight_neighbors() -> None:
    with pytest.raises(SettingError, match="3 x 3 is the least"):
        neighbor_table(2, 5)


def test_similarities_are_the_cosines_to_the_listed_neighbors() -> None:
    patches = grid(4, 5)
    index, _ = neighbor_table(4, 5)
    unit = torch.nn.functional.normalize(patches.flatten(2).transpose(1, 2), dim=-1)
    expected = torch.einsum("bnd,bnkd->bnk", unit, unit[:, index])
    torch.testing.assert_close(neighbor_similarities(patches), expected)


@pytest.mark.parametrize("k", range(1, 9))
@pytest.mark.parametrize("wrap", [True, False])
def test_topk_takes_the_most_similar_that_exist(k: int, wrap: bool) -> None:
    patches = grid(3, 4)
    chosen, keep = choose_positives(patches, rule="topk", k=k, wrap=wrap)
    index, exists = neighbor_table(3, 4, wrap=wrap)
    likeness = neighbor_similarities(patches)
    for image, patch in itertools.product(range(2), range(12)):
        real = [place for place in range(8) if exists[patch, place]]
        best = sorted(real, key=lambda place: -likeness[image, patch, place].item())[:k]
        kept = chosen[image, patch] if keep is None else chosen[image, patch][keep[image, patch]]
        assert kept.tolist() == [int(index[patch, place]) for place in best]


def test_ties_go_to_the_first_in_row_major_order() -> None:
    chosen, _ = choose_positives(torch.ones(1, 2, 4, 4), rule="topk", k=4, wrap=True)
    assert torch.equal(chosen[0], neighbor_table(4, 4)[0][:, :4])


def test_the_threshold_is_what_neighbors_of_this_image_have_on_average() -> None:
    patches = grid(4, 4)
    index, keep = choose_positives(patches, rule="threshold", k=4, wrap=True)
    likeness = neighbor_similarities(patches)
    above = likeness >= likeness.mean((1, 2), keepdim=True)
    assert keep is not None
    lonely = ~above.any(-1)
    assert torch.equal(keep[~lonely], above[~lonely])
    assert bool((keep[lonely].sum(-1) == 1).all())
    assert index.shape == (2, 16, 8)


def test_a_flat_image_makes_every_neighbor_a_positive() -> None:
    _, keep = choose_positives(torch.ones(1, 3, 3, 3), rule="threshold", k=4, wrap=True)
    assert keep is not None
    assert bool(keep.all())


@pytest.mark.parametrize("wrap", [True, False])
def test_ground_truth_rules_and_the_nearest_stands_in(wrap: bool) -> None:
    patches = grid(3, 3)
    truth = torch.zeros(2, 9, 8, dtype=torch.bool)
    truth[0, 4, 2] = truth[0, 0, 0] = True  # patch 0 has no neighbor 0 without wrap
    _, keep = choose_positives(patches, rule="ground-truth", k=4, wrap=wrap, truth=truth)
    assert keep is not None
    assert keep[0, 4].nonzero().flatten().tolist() == [2]
    assert bool((keep.sum(-1) == 1).all())
    likeness = neighbor_similarities(patches).masked_fill(~neighbor_table(3, 3, wrap=wrap)[1], -9)
    assert keep[1].float().argmax(-1).tolist() == likeness[1].argmax(-1).tolist()
    assert bool(keep[0, 0, 0]) is wrap
