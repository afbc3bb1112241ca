"""Whole training steps against the loops of the official code."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.data.multicrop import MultiCrop
from vitbench.data.training_loader import CropBatch
from vitbench.models import architecture
from vitbench.models.export import save_backbone
from vitbench.models.run_folder import RUN_FILE, SNAPSHOTS
from vitbench.objectives.settings import Dino, Patch
from vitbench.training.export import export
from vitbench.training.optimizer import AdamW
from vitbench.training.options import CheckpointConfig, ComputeConfig
from vitbench.training.recipe import Recipe, Term
from vitbench.training.schedules import Cosine
from vitbench.training.snapshot import Snapshots
from vitbench.training.trainer import Trainer

VALUES = Path(__file__).parent / "values"
CPU = torch.device("cpu")
TEMPERATURES: Any = {
    "teacher_temperature": 0.07,
    "warmup_teacher_temperature": 0.04,
    "warmup_teacher_temperature_epochs": 1,
}


def batch_of(crops: list[Tensor]) -> CropBatch:
    count = len(crops[0])
    return CropBatch(
        crops=crops,
        ids=tuple(map(str, range(count))),
        indices=np.arange(count),
        sizes=np.full((count, 2), 256),
        boxes=np.zeros((count, len(crops), 4), np.int64),
        flips=np.zeros((count, len(crops)), bool),
    )


def ours(name: str, *, trunk: str = "") -> str:
    """Translate an official name: `backbone.` is the trunk, `c_head` and `p_head` are heads."""
    for old, new in (
        ("backbone.", f"backbone.{trunk}"),
        ("ca_head.", "backbone.ca_head."),
        ("c_head.", "heads.dino."),
        ("p_head.", "heads.patch."),
        ("head.", "heads.dino."),
    ):
        if name.startswith(old):
            return new + name.removeprefix(old)
    raise AssertionError(name)


def check_weights(trainer: Trainer, values: Any, trunk: str) -> None:
    for side in ("student", "teacher"):
        found = getattr(trainer.student_teacher, side).state_dict()
        for key in (key for key in values if key.startswith(f"{side}:")):
            name = ours(key.removeprefix(f"{side}:"), trunk=trunk)
            check_weight(name, found[name], values[key])


def check_weight(name: str, weight: Tensor, expected: Any) -> None:
    found: Any = weight.numpy()
    if name.endswith("attn.k.bias"):
        return  # its gradient is zero in theory, so Adam amplifies rounding
    if name.endswith("attn.qkv.bias"):
        found, expected = (np.split(part, 3)[::2] for part in (found, expected))
    np.testing.assert_allclose(found, expected, atol=2e-5, err_msg=name)


def check_export(trainer: Trainer, values: Any, method: str, folder: Path) -> None:
    """Export the trained pair: the official names, each with the official tensor."""
    snapshots = Snapshots(folder / SNAPSHOTS, CheckpointConfig())
    snapshots.save({**trainer.state_dict(), "epoch": 3}, step=1)
    snapshots.wait()
    save_backbone(trainer.student_teacher.target.backbone, folder / RUN_FILE, method=method)
    path = export(str(folder), method, folder / "official.pth")
    content = torch.load(path, weights_only=False)
    for side, prefix in (("student", "module."), ("teacher", "")):
        official = {
            prefix + key.removeprefix(f"{side}:"): values[key]
            for key in values
            if key.startswith(f"{side}:")
        }
        assert content[side].keys() == official.keys()
        for name, expected in official.items():
            check_weight(name, content[side][name], expected)
    memory = {key: values[key] for key in ("center", "patch_center") if key in values}
    assert content["dino_loss"].keys() == memory.keys()
    for name, expected in memory.items():
        assert content["dino_loss"][name].shape == expected.shape
        np.testing.assert_allclose(content["dino_loss"][name], expected, atol=2e-5)


def check_groups(trainer: Trainer, values: Any, trunk: str) -> None:
    names = {id(part): name for name, part in trainer.student_teacher.student.named_parameters()}
    for group, key in zip(
        trainer.optimizer.param_groups, ("regularized", "not_regularized"), strict=True
    ):
        expected = [
            ours(name.removeprefix("module."), trunk=trunk) for name in json.loads(str(values[key]))
        ]
        assert {names[id(part)] for part in group["params"]} == set(expected)


def build(
    monkeypatch: pytest.MonkeyPatch,
    recipe: Recipe,
    tiny: architecture.Architecture,
    values: Any,
    trunk: str,
) -> Trainer:
    monkeypatch.setattr("vitbench.models.factory.find_architecture", lambda _: tiny)
    trainer = Trainer(recipe, steps_per_epoch=2, device=CPU, computing=ComputeConfig())
    first = {
        ours(key.removeprefix("init:"), trunk=trunk): torch.tensor(values[key])
        for key in values
        if key.startswith("init:")
    }
    trainer.student_teacher.student.load_state_dict(first)
    trainer.student_teacher.target.load_state_dict(first)
    return trainer


def test_dino_trains_as_the_official_loop_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = np.load(VALUES / "dino_minitrain.npz", allow_pickle=False)
    head = Dino(
        prototypes=48, hidden_dim=32, bottleneck_dim=12, normalize_last_layer=False, **TEMPERATURES
    )
    recipe = Recipe(
        name="dino",
        terms=(Term(1.0, head),),
        drop_path=0.0,
        crops=MultiCrop(global_size=32, local_size=16, local_crops=2),
        optimizer=AdamW(
            learning_rate=Cosine(0.02, 1e-4, 1),
            batch_unit=3,
            weight_decay=Cosine(0.04, 0.4),
            clip=0.3,
        ),
        teacher_momentum=Cosine(0.9, 1.0),
        epochs=3,
        batch_size=3,
    )
    tiny = architecture.Architecture(
        name="tiny", patch_size=8, embed_dim=24, depth=2, heads=3, mlp_dim=48, grid=(4, 4)
    )
    trainer = build(monkeypatch, recipe, tiny, values, "")
    check_groups(trainer, values, "")
    losses = []
    for step in range(6):
        progress = trainer.progress
        set_to = recipe.optimizer.values(progress, 3)
        np.testing.assert_allclose(set_to["learning_rate"], values["lr"][step], atol=1e-12)
        np.testing.assert_allclose(set_to["weight_decay"], values["wd"][step], atol=1e-12)
        assert recipe.teacher_momentum is not None
        np.testing.assert_allclose(recipe.teacher_momentum.at(progress), values["mom"][step])
        crops = [torch.tensor(values[f"it{step % 2}_crop{crop}"]) for crop in range(4)]
        losses.append(trainer.train_step(batch_of(crops))["loss"].item())
    np.testing.assert_allclose(losses, values["losses"], atol=1e-5)
    center = trainer.objectives.get_buffer("dino.center.value")
    np.testing.assert_allclose(center.numpy(), values["center"], atol=2e-5)
    check_weights(trainer, values, "")
    check_export(trainer, values, "dino", tmp_path)


def test_selfpatch_trains_as_the_official_loop_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    values = np.load(VALUES / "selfpatch_minitrain.npz", allow_pickle=False)
    head: Any = {"hidden_dim": 16, "bottleneck_dim": 8, **TEMPERATURES}
    recipe = Recipe(
        name="selfpatch",
        terms=(
            Term(1.0, Dino(prototypes=24, center_crops="all", **head)),
            Term(0.1, Patch(prototypes=20, **head)),
        ),
        aggregation="class-attention",
        drop_path=0.0,
        crops=MultiCrop(local_crops=2),
        optimizer=AdamW(
            learning_rate=Cosine(0.02, 1e-4, 1),
            batch_unit=2,
            weight_decay=Cosine(0.04, 0.4),
            clip=0.3,
        ),
        teacher_momentum=Cosine(0.9, 1.0),
        epochs=2,
        batch_size=2,
    )
    tiny = architecture.Architecture(
        name="tiny", patch_size=16, embed_dim=12, depth=2, heads=2, mlp_dim=24, grid=(14, 14)
    )
    trainer = build(monkeypatch, recipe, tiny, values, "trunk.")
    check_groups(trainer, values, "trunk.")
    losses = []
    for step in range(4):
        crops = []
        for crop, size in enumerate((224, 224, 96, 96)):
            draws = np.random.RandomState(100 + 10 * (step % 2) + crop)
            whole = draws.randint(0, 256, (2, 3, size, size))
            crops.append(torch.tensor((whole / 255 * 4 - 2).astype(np.float32)))
        found = trainer.train_step(batch_of(crops))
        losses.append([found[key].item() for key in ("loss", "dino", "patch")])
    np.testing.assert_allclose(losses, values["losses"], atol=1e-5)
    for name, key in (("dino", "center"), ("patch", "patch_center")):
        center = trainer.objectives.get_buffer(f"{name}.center.value")
        np.testing.assert_allclose(center.numpy(), values[key].reshape(1, -1), atol=2e-5)
    check_weights(trainer, values, "trunk.")
    check_export(trainer, values, "selfpatch", tmp_path)
