"""Our Swin Transformer against the official EsViT one, padded sizes included."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.models.swin import SwinBackbone
from vitbench.models.swin_architecture import infer_swin

STORED = np.load(Path(__file__).parent / "values" / "esvit_swin.npz", allow_pickle=False)
SIZES = (64, 48, 40)


def stored(key: str) -> Tensor:
    return torch.from_numpy(STORED[key])


@pytest.fixture(scope="module")
def backbone() -> SwinBackbone:
    state = {
        key[2:]: stored(key)
        for key in STORED.files
        if key.startswith("w:") and not key.endswith("relative_position_index")
    }
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    architecture = infer_swin(shapes, image_px=64, norm_eps=1e-6, name="golden")
    assert (architecture.depths, architecture.heads) == ((2, 2), (2, 4))
    assert architecture.window == 4
    built = SwinBackbone(architecture)
    built.to_empty(device="cpu").load_state_dict(state)
    return built.eval()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)  # single precision


@pytest.mark.parametrize("size", SIZES)
def test_image_and_region_features_are_the_official_ones(backbone: SwinBackbone, size: int) -> None:
    with torch.inference_mode():
        (features,) = backbone(stored(f"x_{size}"))
    close(features.pooled, stored(f"avg_{size}"))
    close(features.patches.flatten(2).mT, stored(f"region_{size}"))


@pytest.mark.parametrize("size", SIZES)
def test_the_last_three_blocks_are_the_official_ones(backbone: SwinBackbone, size: int) -> None:
    with torch.inference_mode():
        layers = backbone(stored(f"x_{size}"), (-3, -2, -1))
    close(torch.cat([layer.pooled for layer in layers], dim=1), stored(f"nlast3_{size}"))
