"""Files of SelfPatch, whole or reduced to the trunk, give the official numbers."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from vitbench.models.checkpoint import load_backbone, resolve

VALUES = Path(__file__).parent / "values"
CLOSE: Any = {"atol": 2e-5, "rtol": 1e-4}  # single precision
TRUNK, HEAD = (
    np.load(VALUES / f"selfpatch_{part}.npz", allow_pickle=False) for part in ("vit", "head")
)


def weights(stored: Any, prefix: str) -> dict[str, Tensor]:
    return {
        prefix + key[2:]: torch.from_numpy(stored[key])
        for key in stored.files
        if key.startswith("w:")
    }


def saved(path: Path, teacher: dict[str, Tensor]) -> str:
    torch.save({"teacher": teacher, "args": Namespace(arch="vit_tiny")}, path)  # 3 heads, as ViT-Ti
    return str(path)


@pytest.mark.parametrize("tag", ["sq", "rect", "small"])
def test_a_trunk_gives_the_official_tokens(tag: str, tmp_path: Path) -> None:
    checkpoint = resolve(saved(tmp_path / "file", weights(TRUNK, "backbone.")))
    assert checkpoint.pooled_from == "mean_pool"
    with torch.inference_mode():
        layers = load_backbone(checkpoint)(torch.from_numpy(TRUNK[f"x_{tag}"]), (-2, -1))
    for number, features in enumerate(layers):
        expected = torch.from_numpy(TRUNK[f"inter2_{number}_{tag}"])
        torch.testing.assert_close(features.patches.flatten(2).mT, expected, **CLOSE)


def test_class_attention_on_the_trunk_gives_the_official_summary(tmp_path: Path) -> None:
    whole = weights(TRUNK, "backbone.") | weights(HEAD, "ca_head.")
    whole |= {"c_head.mlp.0.weight": torch.ones(2), "p_head.mlp.0.weight": torch.ones(2)}
    checkpoint = resolve(saved(tmp_path / "file", whole))
    assert (checkpoint.format, checkpoint.pooled_from) == ("selfpatch", "class_attention")
    backbone: Any = load_backbone(checkpoint)
    with torch.inference_mode():
        for size in ("224", "96"):
            found = backbone.aggregate(torch.from_numpy(HEAD[f"x_{size}"]))
            torch.testing.assert_close(
                found, torch.from_numpy(HEAD[f"noloc_{size}"])[:, 0], **CLOSE
            )
        (features,) = backbone(torch.from_numpy(TRUNK["x_sq"]))
        tokens = features.patches.flatten(2).mT
        torch.testing.assert_close(features.pooled, backbone.aggregate(tokens))


def test_the_exported_form_has_neither_class_token_nor_norm(tmp_path: Path) -> None:
    source = VisionTransformer(
        img_size=32, patch_size=8, embed_dim=64, depth=4, num_heads=2, num_classes=0,
        class_token=False, global_pool="", final_norm=False,
    ).eval()  # fmt: skip
    torch.save(source.state_dict(), tmp_path / "file.pth")
    checkpoint = resolve(str(tmp_path / "file.pth"), arch="vit_micro_patch8_32")
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        (features,) = load_backbone(checkpoint)(images)
        expected: Any = source.forward_features(images)
    torch.testing.assert_close(features.patches.flatten(2).mT, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(features.pooled, expected.mean(dim=1), atol=1e-5, rtol=1e-5)
