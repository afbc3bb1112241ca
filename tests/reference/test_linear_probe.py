"""What linear heads read, against the official eval_linear.py."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.models.architecture import infer
from vitbench.models.timm_backbone import TimmBackbone
from vitbench_protocols.linear_probe import Choice
from vitbench_protocols.linear_probe.features import feature_sets

STORED = np.load(Path(__file__).parent / "values" / "dino_vit.npz", allow_pickle=False)


def stored(key: str) -> Tensor:
    return torch.from_numpy(STORED[key])


@pytest.fixture(scope="module")
def backbone() -> TimmBackbone:
    state = {key[2:]: stored(key) for key in STORED.files if key.startswith("w:")}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    built = TimmBackbone(infer(shapes, heads=3, name="golden"))
    built.to_empty(device="cpu").load_state_dict(state)
    return built.eval()


@pytest.mark.parametrize("tag", ["sq", "rect", "small", "sq48"])
@pytest.mark.parametrize(
    ("choice", "official"), [("last-4", "linear_n4"), ("last-1+mean", "linear_n1_avgpool")]
)
def test_features_are_the_official_ones(
    backbone: TimmBackbone, choice: Choice, official: str, tag: str
) -> None:
    (features,) = feature_sets((choice,), backbone.info)
    layers = [output.layer for output in features.outputs]
    with torch.inference_mode():
        found = backbone(stored(f"x_{tag}"), layers)
    vectors = {
        output: output.of(layer) for output, layer in zip(features.outputs, found, strict=True)
    }
    expected = stored(f"{official}_{tag}")
    torch.testing.assert_close(features.join(vectors), expected, atol=2e-5, rtol=1e-4)  # fp32
