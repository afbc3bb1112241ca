"""SelfPatch's neighbors, class attention and trunk against the official code's stored outputs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.models.class_attention import ClassAttention
from vitbench.objectives.positives import choose_positives, neighbor_similarities, neighbor_table

VALUES = Path(__file__).parent / "values"
HEAD = np.load(VALUES / "selfpatch_head.npz", allow_pickle=False)


def aggregation() -> ClassAttention:
    module = ClassAttention(24, 3)
    module.load_state_dict(
        {key[2:]: torch.tensor(HEAD[key]) for key in HEAD if key.startswith("w:")}
    )
    return module


def on_grid(tokens: Tensor) -> Tensor:
    side = int(tokens.shape[1] ** 0.5)
    return tokens.transpose(1, 2).reshape(len(tokens), -1, side, side)


@pytest.mark.parametrize("patches", [16, 36, 49, 196, 784])
def test_every_patch_has_the_eight_official_neighbors(patches: int) -> None:
    values = np.load(VALUES / "selfpatch_local_index.npz", allow_pickle=False)
    side = int(patches**0.5)
    index, exists = neighbor_table(side, side)
    np.testing.assert_array_equal(index.sort(dim=-1).values.numpy(), values[f"n{patches}_k3"])
    assert exists.all()


@pytest.mark.parametrize("crop", [224, 96])
def test_the_cosines_to_the_neighbors_are_the_official_ones(crop: int) -> None:
    tokens = torch.tensor(HEAD[f"x_{crop}"])
    grid = on_grid(tokens)
    order = neighbor_table(*grid.shape[-2:])[0].argsort(dim=-1)
    ours = neighbor_similarities(grid).gather(-1, order.expand(len(tokens), -1, -1))
    torch.testing.assert_close(ours, torch.tensor(HEAD[f"sim_{crop}"]), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("crop", [224, 96])
@pytest.mark.parametrize("k", [2, 4])
def test_the_most_similar_neighbors_are_the_official_ones(k: int, crop: int) -> None:
    tokens = torch.tensor(HEAD[f"x_{crop}"])
    chosen, keep = choose_positives(on_grid(tokens), rule="topk", k=k, wrap=True)
    assert keep is None
    table = torch.tensor(HEAD[f"loc{crop}"].astype(np.int64)).expand(len(tokens), -1, -1)
    places = torch.tensor(HEAD[f"topidx_k{k}_{crop}"].astype(np.int64)).reshape(chosen.shape)
    assert torch.equal(chosen, table.gather(-1, places))


@pytest.mark.parametrize("crop", [224, 96])
@pytest.mark.parametrize("k", [1, 2, 4, 6, 8])
def test_the_teacher_summarizes_as_the_official_head_does(k: int, crop: int) -> None:
    tokens, module = torch.tensor(HEAD[f"x_{crop}"]), aggregation()
    index, keep = choose_positives(on_grid(tokens), rule="topk", k=k, wrap=True)
    ours = torch.cat([module(tokens).unsqueeze(1), module.summarize(tokens, index, keep)], dim=1)
    torch.testing.assert_close(ours, torch.tensor(HEAD[f"loc_k{k}_{crop}"]), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize("crop", [224, 96])
def test_the_students_patches_only_pass_the_norm(crop: int) -> None:
    tokens, module = torch.tensor(HEAD[f"x_{crop}"]), aggregation()
    ours = torch.cat([module(tokens).unsqueeze(1), module.normalize(tokens)], dim=1)
    torch.testing.assert_close(ours, torch.tensor(HEAD[f"noloc_{crop}"]), atol=2e-5, rtol=1e-4)
