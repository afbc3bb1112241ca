"""Under autocast the networks are computed in bfloat16, the loss terms in single precision."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from tests.stored_features import stored_branch
from vitbench.models.backbone import BackboneInfo, Features
from vitbench.objectives.heads import ProjectionHead
from vitbench.objectives.objective import Branch, Objective
from vitbench.objectives.positives import neighbor_similarities
from vitbench.objectives.precision import single_precision
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Dino, Moby, Patch, Region

WIDTH, IMAGES, GRID = 12, 4, 3
TERMS = (
    Dino(prototypes=WIDTH),
    Patch(prototypes=WIDTH),
    Region(prototypes=WIDTH),
    Moby(key_dim=WIDTH, queue=8),
)


class NoAggregation(nn.Module):
    """Stands for class attention where the tokens are logits already."""

    def normalize(self, patches: Tensor) -> Tensor:
        return patches

    def summarize(self, patches: Tensor, index: Tensor, keep: Tensor | None) -> Tensor:
        return patches


def side(seed: int, dtype: torch.dtype = torch.float32) -> Branch:
    """Return a branch of two global and two local crops whose features are logits already."""
    generator = torch.Generator().manual_seed(seed)

    def logits(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(dtype).requires_grad_(seed == 0)

    groups = tuple(
        Features(logits(2 * IMAGES, WIDTH), logits(2 * IMAGES, WIDTH, GRID, GRID)) for _ in "gl"
    )
    return stored_branch(groups, (2, 2))


def learned(settings: Any, *, autocast: bool, dtype: torch.dtype) -> tuple[Tensor, list[Tensor]]:
    """Return a term's loss and its gradients, with networks that change nothing."""
    info: Any = SimpleNamespace(embed_dim=WIDTH, pooled_from="class_attention", arch="logits")
    torch.manual_seed(1)
    term: Objective = settings.build(cast("BackboneInfo", info))
    if isinstance(settings, Moby):
        cast("Any", term).predictor = nn.Identity()
    student, teacher = side(0, dtype), side(1, dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = term(student, teacher, Progress(0, 1, 5)).value
    loss.backward()
    seen = [student.features(group) for group in range(2)]
    leaves = [leaf for group in seen for leaf in (group.pooled, group.patches)]
    return loss, [leaf.grad for leaf in leaves if leaf.grad is not None]


@pytest.mark.parametrize("settings", TERMS, ids=lambda settings: settings.name)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loss_and_its_gradients_are_in_single_precision_under_autocast(
    settings: Any, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitbench.objectives.patch._aggregation", lambda _: NoAggregation())
    expected, gradients = learned(settings, autocast=False, dtype=dtype)
    loss, found = learned(settings, autocast=True, dtype=dtype)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    assert len(found) == len(gradients) > 0
    for one, other in zip(found, gradients, strict=True):
        assert torch.equal(one, other)


def test_neighbors_are_chosen_by_similarities_in_single_precision() -> None:
    patches = torch.randn(2, 5, 3, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = neighbor_similarities(patches)
    assert torch.equal(found, neighbor_similarities(patches.float()))


def test_the_head_brings_its_points_to_length_1_in_single_precision() -> None:
    head = ProjectionHead(WIDTH, 8, hidden_dim=16, bottleneck_dim=WIDTH)
    seen: list[Tensor] = []
    head.last_layer.register_forward_pre_hook(lambda _, points: seen.append(points[0]))
    with torch.autocast("cpu", torch.bfloat16):
        head(torch.randn(3, WIDTH))
    assert seen[0].dtype == torch.float32
    torch.testing.assert_close(seen[0].norm(dim=-1), torch.ones(3), atol=1e-6, rtol=0)


def test_a_term_keeps_double_precision_and_whole_numbers() -> None:
    @single_precision
    def kinds(parts: list[Tensor], *, index: Tensor) -> list[torch.dtype]:
        return [part.dtype for part in (*parts, index)]

    found = kinds([torch.ones(1).half(), torch.ones(1).double()], index=torch.ones(1).long())
    assert found == [torch.float32, torch.float64, torch.int64]
