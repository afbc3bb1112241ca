"""Each objective's loss, gradient and memory against the official code's stored outputs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.stored_features import stored_branch, stored_vectors
from vitbench.models.backbone import BackboneInfo, Features
from vitbench.objectives.objective import Branch
from vitbench.objectives.patch import PatchObjective
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Dino, Patch

VALUES = Path(__file__).parent / "values"
WARMED: Any = {
    "teacher_temperature": 0.07,
    "warmup_teacher_temperature": 0.04,
    "warmup_teacher_temperature_epochs": 2,
}
CLOSE: Any = {"atol": 2e-5, "rtol": 1e-4}


def of_width(width: int) -> BackboneInfo:
    info = SimpleNamespace(embed_dim=width, pooled_from="class_attention", arch="logits")
    return cast("BackboneInfo", info)


def test_dino_gives_the_official_losses_gradients_and_centers() -> None:
    values = np.load(VALUES / "dino_loss.npz", allow_pickle=False)
    objective = Dino(prototypes=64, **WARMED).build(of_width(64))
    for step in range(3):
        student = torch.tensor(values[f"student{step}"], requires_grad=True)
        teacher = torch.tensor(values[f"teacher{step}"])
        loss = objective(
            stored_vectors([student], (6,)), stored_vectors([teacher], (2,)), Progress(step, 1, 5)
        )
        loss.value.backward()
        objective.end_step()
        assert student.grad is not None
        np.testing.assert_allclose(loss.value.item(), values[f"loss{step}"], **CLOSE)
        np.testing.assert_allclose(student.grad.numpy(), values[f"grad{step}"], **CLOSE)
        np.testing.assert_allclose(objective.center.value.numpy(), values[f"center{step}"], **CLOSE)


class Summarizer(nn.Module):
    """Stands for class attention where the tokens are logits already: it changes nothing."""

    def normalize(self, patches: Tensor) -> Tensor:
        return patches

    def summarize(self, patches: Tensor, index: Tensor, keep: Tensor | None) -> Tensor:
        return patches


def test_selfpatch_gives_the_official_losses_gradients_and_centers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vitbench.objectives.patch._aggregation", lambda _: Summarizer())
    values = np.load(VALUES / "selfpatch_loss.npz", allow_pickle=False)
    views = Dino(prototypes=32, center_crops="all", **WARMED).build(of_width(32))
    patches: PatchObjective = Patch(prototypes=20, **WARMED).build(of_width(20))

    def side(name: str, step: int) -> tuple[Branch, list[Tensor], list[Tensor]]:
        tokens, classes = [], []
        for size in ("global", "local"):
            tokens.append(torch.tensor(values[f"it{step}_{name}_patch_{size}"]))
            classes.append(torch.tensor(values[f"it{step}_{name}_cls_{size}"]))
        learned = [part.requires_grad_(name == "student") for part in (*tokens, *classes)]
        groups = []
        for token, seen in zip(learned[:2], learned[2:], strict=True):
            grid = int(token.shape[1] ** 0.5)
            maps = token.transpose(1, 2).reshape(len(token), -1, grid, grid)
            groups.append(Features(seen.squeeze(1), maps))
        branch = stored_branch(groups, (2, 2))
        return branch, learned[:2], learned[2:]

    for step in range(3):
        (student, tokens, classes), (teacher, _, _) = side("student", step), side("teacher", step)
        progress = Progress(step, 1, 5)
        view, patch = views(student, teacher, progress), patches(student, teacher, progress)
        total = view.value + 0.1 * patch.value
        total.backward()
        views.end_step()
        patches.end_step()
        for key, value in (("total", total), ("cls", view.value), ("patch", patch.value)):
            np.testing.assert_allclose(value.item(), values[f"it{step}_{key}"], **CLOSE)
        for key, parts in (("patch", tokens), ("cls", classes)):
            for size, part in zip(("global", "local"), parts, strict=True):
                assert part.grad is not None
                expected = values[f"it{step}_grad_{key}_{size}"]
                np.testing.assert_allclose(part.grad.numpy(), expected, **CLOSE)
        for key, center in (("center", views.center), ("patch_center", patches.center)):
            expected = values[f"it{step}_{key}"].reshape(1, -1)
            np.testing.assert_allclose(center.value.numpy(), expected, **CLOSE)
