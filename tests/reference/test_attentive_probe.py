"""The attention pooling against CAPI's own classifiers: logits, training steps, schedule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from vitbench.kit import FineTuneConfig, Progress
from vitbench_protocols.attentive_probe.pooling import PoolingGrid
from vitbench_protocols.attentive_probe.training import BETAS, BIASES, WarmupCosine

VALUES = Path(__file__).parent / "values" / "attentive_probe.npz"
OURS = {
    "query": "query_token",
    "key": "kv.weight",
    "value": "kv.weight",
    "value_bias": "kv.bias",
    "weight": "linear.weight",
    "bias": "linear.bias",
}


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(VALUES, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def grid_of(golden: dict[str, NDArray[Any]]) -> PoolingGrid:
    width, classes = golden["patches"].shape[-1], 5
    grid = PoolingGrid(2, width, classes, seed=0)
    with torch.no_grad():
        for number, one in enumerate(grid.classifiers):
            for name, theirs in OURS.items():
                value = torch.from_numpy(golden[f"before{number}.{theirs}"])
                if theirs.startswith("kv"):
                    value = value[:width] if name == "key" else value[width:]
                getattr(one, name).copy_(value)
    return grid


def test_logits_equal_the_official_ones(golden: dict[str, NDArray[Any]]) -> None:
    logits = grid_of(golden)(torch.from_numpy(golden["patches"])).detach().numpy()
    for number in range(2):
        np.testing.assert_allclose(logits[:, number], golden[f"logits{number}"], atol=2e-6)


def test_training_steps_equal_the_official_ones(golden: dict[str, NDArray[Any]]) -> None:
    grid = grid_of(golden)
    config = FineTuneConfig(
        steps=3,
        batch_size=6,
        rate=WarmupCosine(0.01, 0),
        weight_decay=0.0,
        undecayed=BIASES,
        betas=BETAS,
        shares={"classifiers.0.": 1.0, "classifiers.1.": 0.2},
        decays={"classifiers.0.": 5e-4, "classifiers.1.": 5e-2},
    )
    optimizer = config.optimizer(grid)
    for group in optimizer.param_groups:
        group["lr"] = 0.01 * group["share"]
    patches, truth = (torch.from_numpy(golden[name]) for name in ("patches", "targets"))
    for _ in range(3):
        optimizer.zero_grad()
        logits = grid(patches)
        losses = [functional.cross_entropy(logits[:, number], truth) for number in range(2)]
        torch.autograd.backward(torch.stack(losses).mean())
        optimizer.step()
    logits = grid(patches).detach().numpy()
    for number in range(2):
        np.testing.assert_allclose(logits[:, number], golden[f"after{number}"], atol=5e-6)


def test_the_learning_rate_equals_the_official_one(golden: dict[str, NDArray[Any]]) -> None:
    rate = WarmupCosine(1.0, 5)
    found = [rate.at(Progress(step, 20, epochs=1)) for step in range(20)]
    np.testing.assert_allclose(found, golden["schedule"], atol=1e-12)
