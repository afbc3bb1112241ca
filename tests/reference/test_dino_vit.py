"""Our Vision Transformer against the official DINO one, square images and not."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.models.architecture import infer
from vitbench.models.backbone import Features
from vitbench.models.timm_backbone import TimmBackbone

VALUES = Path(__file__).parent / "values"
STORED = np.load(VALUES / "dino_vit.npz", allow_pickle=False)
TAGS = ("sq", "rect", "small", "sq48")


def stored(key: str) -> Tensor:
    return torch.from_numpy(STORED[key])


@pytest.fixture(scope="module")
def backbone() -> TimmBackbone:
    state = {key[2:]: stored(key) for key in STORED.files if key.startswith("w:")}
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    built = TimmBackbone(infer(shapes, heads=3, name="golden"))
    built.to_empty(device="cpu").load_state_dict(state)
    return built.eval()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-4)  # single precision


def rows(features: Features) -> Tensor:
    """Return the tokens (B, 1 + N, D) as the official code orders them."""
    return torch.cat([features.pooled[:, None], features.patches.flatten(2).mT], dim=1)


@pytest.mark.parametrize("tag", TAGS)
def test_pooled_is_the_official_output(backbone: TimmBackbone, tag: str) -> None:
    with torch.inference_mode():
        (features,) = backbone(stored(f"x_{tag}"))
    close(features.pooled, stored(f"cls_{tag}"))


@pytest.mark.parametrize("tag", TAGS)
def test_the_last_four_blocks_are_the_official_ones(backbone: TimmBackbone, tag: str) -> None:
    with torch.inference_mode():
        layers = backbone(stored(f"x_{tag}"), (-4, -3, -2, -1))
    for index, features in enumerate(layers):
        close(rows(features), stored(f"inter4_{index}_{tag}"))


@pytest.mark.parametrize("tag", TAGS)
def test_attention_of_the_last_block_is_the_official_one(backbone: TimmBackbone, tag: str) -> None:
    with torch.inference_mode():
        close(backbone.attention(stored(f"x_{tag}")), stored(f"attn_{tag}"))
