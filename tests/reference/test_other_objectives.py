"""EsViT's and MoBY's losses, memories and schedules against the official code's stored outputs."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.stored_features import stored_branch
from vitbench.models.architecture import infer
from vitbench.models.backbone import BackboneInfo, Features
from vitbench.models.timm_backbone import TimmBackbone
from vitbench.objectives.crop_features import CropFeatures
from vitbench.objectives.moby import contrast, spread
from vitbench.objectives.objective import Branch
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Dino, Moby, Region
from vitbench.training.schedules import Cosine, CosineWithOverlappingWarmup
from vitbench.training.student_teacher import Network, StudentTeacher

VALUES = Path(__file__).parent / "values"
CLOSE: Any = {"atol": 2e-5, "rtol": 1e-4}


def stored(name: str) -> Any:
    return np.load(VALUES / f"{name}.npz", allow_pickle=False)


def of_width(width: int) -> BackboneInfo:
    return cast("BackboneInfo", SimpleNamespace(embed_dim=width, arch="none"))


def on_grid(rows: Tensor, images: int, patches: int) -> Tensor:
    """Turn rows (images * patches, D) into maps (images, D, h, w)."""
    side = int(patches**0.5)
    return rows.view(images, patches, -1).transpose(1, 2).reshape(images, -1, side, side)


class LogitsOfRegions(nn.Module):
    """Stands for a head: gives the stored logits of the regions it is asked about."""

    def __init__(self, logits: Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, features: Tensor) -> Tensor:
        assert len(features) == len(self.logits)
        return self.logits


@pytest.mark.parametrize("name", ["esvit_loss_vit", "esvit_loss_swin"])
def test_esvit_gives_the_official_losses_gradients_and_centers(name: str) -> None:
    values = stored(name)
    crops, batch = int(values["ncrops"]), int(values["batch"])
    sizes = (int(values["n_global"]), int(values["n_local"]))
    warmed: Any = {"teacher_temperature": 0.07, "warmup_teacher_temperature_epochs": 2}
    prototypes = values["it0_s_cls"].shape[1]
    view = Dino(prototypes=prototypes, **warmed).build(of_width(prototypes))
    region = Region(prototypes=prototypes, **warmed).build(of_width(12))

    def side(step: int, letter: str, counts: tuple[int, ...]) -> tuple[Branch, Tensor, Tensor]:
        views = torch.tensor(values[f"it{step}_{letter}_cls"], requires_grad=letter == "s")
        regions = torch.tensor(values[f"it{step}_{letter}_region"], requires_grad=letter == "s")
        features = torch.tensor(values[f"it{step}_{letter}_fea"])
        rows = [count * batch * size for count, size in zip(counts, sizes, strict=False)]
        groups = tuple(
            Features(pooled, on_grid(part, count * batch, size))
            for pooled, part, count, size in zip(
                torch.split(views, [count * batch for count in counts]),
                torch.split(features, rows),
                counts,
                sizes,
                strict=False,
            )
        )
        branch = stored_branch(groups, counts)
        return branch, views, regions

    for step in range(3):
        student, views, regions = side(step, "s", (2, crops - 2))
        teacher, _, wanted = side(step, "t", (2,))
        progress = Progress(step, 1, 5)
        first = view(student, teacher, progress)
        second = region(
            replace(student, head=LogitsOfRegions(regions)),
            replace(teacher, head=LogitsOfRegions(wanted)),
            progress,
        )
        loss = 0.5 * first.value + 0.5 * second.value
        loss.backward()
        view.end_step()
        region.end_step()
        np.testing.assert_allclose(loss.item(), values[f"it{step}_loss"], **CLOSE)
        assert views.grad is not None
        assert regions.grad is not None
        np.testing.assert_allclose(views.grad, values[f"it{step}_grad_cls"], **CLOSE)
        np.testing.assert_allclose(regions.grad, values[f"it{step}_grad_region"], **CLOSE)
        np.testing.assert_allclose(view.center.value, values[f"it{step}_center"], **CLOSE)
        np.testing.assert_allclose(region.center.value, values[f"it{step}_center_grid"], **CLOSE)


def test_esvit_sees_views_and_regions_as_the_official_wrapper_does() -> None:
    values = stored("esvit_vit_multicrop")
    state = {key[2:]: torch.tensor(values[key]) for key in values if key.startswith("w:")}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    backbone = TimmBackbone(infer(shapes, heads=3, name="golden"), position_rule="esvit")
    backbone.to_empty(device="cpu").load_state_dict(state)
    crops = [torch.tensor(values[f"crop{crop}"]) for crop in range(5)]
    with torch.no_grad():
        branch = Branch(CropFeatures(backbone, crops), nn.Identity())
        views = branch.image_features().flatten(0, 1)
        regions = torch.cat([crop.flatten(0, 1) for crop in branch.patch_features()])
    np.testing.assert_allclose(views, values["cls"], **CLOSE)
    np.testing.assert_allclose(regions, values["fea"], **CLOSE)
    found = [branch.patch_features()[crop].shape[1] for crop in (0, 4)]
    assert found == values["npatch"].tolist()


def test_contrast_is_the_official_loss() -> None:
    values = stored("moby_contrastive")
    q, k, queue = (torch.tensor(values[key]) for key in ("q", "k", "queue"))
    np.testing.assert_allclose(contrast(q, k, queue, 0.2).item(), values["loss_t02"], **CLOSE)


def test_the_spread_of_keys_tells_a_collapse() -> None:
    key = torch.tensor([0.6, 0.8])
    alike = key.view(1, 2, 1).expand(2, -1, 6)
    apart = torch.stack([key, -key], dim=1).expand(2, -1, -1)
    assert spread(alike).item() == pytest.approx(0.0, abs=1e-6)
    assert spread(apart).item() == pytest.approx(1.0)


def test_mobys_learning_rate_is_the_official_one() -> None:
    values = stored("moby_lr")
    schedule = CosineWithOverlappingWarmup(1e-3, 5e-6, 1, warmup_from=5e-7)
    ours = [schedule.at(Progress(step, 10, 6)) for step in range(60)]
    np.testing.assert_allclose(ours, values["lr_used_at_iter"], atol=1e-12, rtol=0)


def test_mobys_momentum_is_the_official_one() -> None:
    values = stored("moby")
    schedule = Cosine(0.99, 1.0, ahead=1)
    ours = [schedule.at(Progress(step, 10, 1)) for step in range(9)]
    np.testing.assert_allclose(ours, values["momentum"][1:], atol=1e-12, rtol=0)


class TanhEncoder(nn.Module):
    """The one-layer encoder that stands for the backbone in the stored values."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(12, 8)

    def forward(self, images: Tensor) -> tuple[Features]:
        pooled = self.fc(images).tanh()
        return (Features(pooled, pooled),)


def test_moby_trains_as_the_official_module_does() -> None:
    values = stored("moby")
    objective = Moby(hidden_dim=16, queue=16).build(of_width(8))
    encoder: Any = TanhEncoder()
    pair = StudentTeacher(Network(encoder, {"moby": objective.build_head()}))

    def states(when: str) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        found = {
            key.removeprefix(when): torch.tensor(values[key])
            for key in values
            if key.startswith(when)
        }
        names = (
            {"encoder.": "backbone.", "projector.": "heads.moby."},
            {"encoder_k.": "backbone.", "projector_k.": "heads.moby."},
            {"predictor.": ""},
        )
        student, teacher, predictor = (
            {
                new + key.removeprefix(old): value
                for key, value in found.items()
                for old, new in table.items()
                if key.startswith(old)
            }
            for table in names
        )
        return student, teacher, predictor

    student, teacher, predictor = states("init:")
    pair.student.load_state_dict(student)
    pair.target.load_state_dict(teacher)
    objective.predictor.load_state_dict(predictor)
    objective.queues.copy_(torch.tensor(np.stack([values["init:queue1"], values["init:queue2"]])))
    parts = [*pair.student.parameters(), *objective.parameters()]
    optimizer = torch.optim.SGD(parts, lr=0.5)
    momentum = Cosine(0.99, 1.0, ahead=1)
    for step in range(6):
        crops = [torch.tensor(values[f"x{view}_{step}"]) for view in (1, 2)]
        learned, seen = (
            Branch(
                CropFeatures(network.backbone, crops, gradient=network is pair.student),
                network.heads["moby"],
            )
            for network in (pair.student, pair.target)
        )
        loss = objective(learned, seen, Progress(step, 10, 1)).value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step < 5:  # the official module moves its teacher at the head of a step
            pair.update_teacher(momentum.at(Progress(step, 10, 1)))
        objective.end_step()
        np.testing.assert_allclose(loss.item(), values["losses"][step], atol=1e-5)
        assert objective.pointer.item() == values[f"ptr_{step}"]
        if step in (0, 5):
            queues = np.stack([values[f"queue{view}_{step}"] for view in (1, 2)])
            np.testing.assert_allclose(objective.queues, queues, **CLOSE)
    for found, expected in zip(
        (pair.student.state_dict(), pair.target.state_dict(), objective.predictor.state_dict()),
        states("final:"),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)
    trainable = json.loads(str(values["trainable"]))
    assert len(parts) == len(trainable)
