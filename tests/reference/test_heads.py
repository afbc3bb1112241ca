"""The projection head and the schedules against the official code's stored outputs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vitbench.objectives.heads import ProjectionHead
from vitbench.objectives.progress import Progress
from vitbench.objectives.settings import Dino
from vitbench.training.schedules import Cosine

VALUES = Path(__file__).parent / "values"


@pytest.mark.parametrize(
    ("file", "settings"),
    [
        ("norm", {}),
        ("nonorm", {"normalize_last_layer": False}),
        ("bn", {"batch_norm": True}),
    ],
)
def test_the_head_gives_the_official_logits(file: str, settings: dict[str, bool]) -> None:
    values = np.load(VALUES / f"dino_head_{file}.npz", allow_pickle=False)
    head = ProjectionHead(8, 10, hidden_dim=16, bottleneck_dim=4, **settings)
    weights = {key[2:]: torch.tensor(values[key]) for key in values if key.startswith("w:")}
    head.load_state_dict(weights)
    expected = torch.tensor(values["y"])
    torch.testing.assert_close(head(torch.tensor(values["x"])), expected, atol=2e-5, rtol=1e-4)
    trained = {name: part.requires_grad for name, part in head.named_parameters()}
    assert trained == json.loads(str(values["requires_grad"]))


@pytest.mark.parametrize(
    ("key", "schedule", "epochs", "steps", "at"),
    [
        ("lr", Cosine(0.002, 1e-6, 2), 10, 7, None),
        ("wd", Cosine(0.04, 0.4), 10, 7, None),
        ("mom", Cosine(0.996, 1.0), 10, 7, None),
        ("lr_nowarm", Cosine(0.002, 1e-6), 4, 5, None),
        (
            "lr_300x1251_first",
            Cosine(0.002, 1e-6, 10),
            300,
            1251,
            [0, 1, 2, 12509, 12510, 12511, 100000, 375299],
        ),
        ("wd_300x1251", Cosine(0.04, 0.4), 300, 1251, [0, 1, 100000, 375299]),
        ("mom_300x1251", Cosine(0.996, 1.0), 300, 1251, [0, 1, 100000, 375299]),
    ],
)
def test_a_cosine_schedule_has_the_official_values(
    key: str, schedule: Cosine, epochs: int, steps: int, at: list[int] | None
) -> None:
    expected = np.load(VALUES / "schedules_dino.npz", allow_pickle=False)[key]
    indices = range(epochs * steps) if at is None else at
    ours = [schedule.at(Progress(step, steps, epochs)) for step in indices]
    np.testing.assert_allclose(ours, expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("key", "settings", "epochs"),
    [
        (
            "teacher_temp_30_300",
            Dino(teacher_temperature=0.07, warmup_teacher_temperature_epochs=30),
            300,
        ),
        ("teacher_temp_default_10", Dino(), 10),
    ],
)
def test_the_teacher_temperature_has_the_official_values(
    key: str, settings: Dino, epochs: int
) -> None:
    expected = np.load(VALUES / "schedules_dino.npz", allow_pickle=False)[key]
    ours = [settings.teacher_temperature_at(Progress(7 * i, 7, epochs)) for i in range(epochs)]
    np.testing.assert_allclose(ours, expected, atol=1e-12, rtol=0)
