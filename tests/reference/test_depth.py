"""Depth heads, losses, scores and schedule against probe3d's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from vitbench.kit import Progress
from vitbench_protocols.depth.errors import depth_scores, gradient_loss, log_loss
from vitbench_protocols.depth.heads import DptHead, LinearHead
from vitbench_protocols.depth.learning import WarmupQuarterWave

VALUES = Path(__file__).parent / "values" / "depth.npz"
PARTS = {  # ours -> theirs
    "project.{n}": "conv_{n}",
    "beside.{n}.first": "ref_{n}.resConfUnit1.conv.0",
    "beside.{n}.second": "ref_{n}.resConfUnit1.conv.2",
    "fused.{n}.first": "ref_{n}.resConfUnit2.conv.0",
    "fused.{n}.second": "ref_{n}.resConfUnit2.conv.2",
}


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(VALUES, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def filled(head: nn.Module, names: dict[str, str], golden: dict[str, NDArray[Any]]) -> nn.Module:
    state = {
        f"{ours}.{kind}": torch.from_numpy(golden[f"{theirs}.{kind}"])
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
    }
    head.load_state_dict(state)
    return head


def test_the_linear_head_equals_the_official_one(golden: dict[str, NDArray[Any]]) -> None:
    head = filled(LinearHead([12], 10.0), {"conv": "linear.head.conv"}, golden)
    found = head([torch.from_numpy(golden["map3"])]).detach().numpy()
    np.testing.assert_allclose(found, golden["linear_depth"], atol=1e-5)


def test_the_multi_layer_head_equals_the_official_one(golden: dict[str, NDArray[Any]]) -> None:
    names = {
        ours.format(n=n): f"dpt.head.{theirs.format(n=n)}"
        for n in range(4)
        for ours, theirs in PARTS.items()
        if not (n == 3 and ours.startswith("beside"))
    }
    names |= {"smooth": "dpt.head.out_conv.0", "out": "dpt.head.out_conv.2"}
    head = filled(DptHead([12] * 4, 10.0, 8), names, golden)
    found = head([torch.from_numpy(golden[f"map{n}"]) for n in range(4)]).detach().numpy()
    assert found.shape == (2, 1, 48, 64)
    np.testing.assert_allclose(found[:, :, ::4, ::4], golden["dpt_depth"], atol=1e-5)


def test_losses_and_scores_equal_the_official_ones(golden: dict[str, NDArray[Any]]) -> None:
    found, truth = (torch.from_numpy(golden[name]) for name in ("found", "truth"))
    assert log_loss(found, truth).item() == pytest.approx(golden["sig_loss"][0], rel=1e-5)
    assert gradient_loss(found, truth).item() == pytest.approx(golden["gradient_loss"][0], rel=1e-5)
    for name, values in depth_scores(found, truth).items():
        unit = 1 if name == "rmse" else 100
        np.testing.assert_allclose(values.numpy(), unit * golden[name], rtol=1e-5)


def test_the_learning_rate_equals_the_official_one(golden: dict[str, NDArray[Any]]) -> None:
    rate = WarmupQuarterWave(1.0, 6)
    found = [rate.at(Progress(step, 40, epochs=1)) for step in range(40)]
    np.testing.assert_allclose(found, golden["schedule"], atol=1e-12)
