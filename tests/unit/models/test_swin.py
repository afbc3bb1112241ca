from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from vitbench.errors import MissingAbility, SettingError, StateMismatch
from vitbench.models.backbone import Aggregates, Backbone, Features, Stage
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.factory import build
from vitbench.models.swin import SwinBackbone
from vitbench.models.swin_architecture import infer_swin, parse_swin

ARCH = "swin_mini_patch2_window4_32"  # grids 16, 8, 4, 2


def images(height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(1))


def pooled(backbone: Backbone) -> Tensor:
    with torch.inference_mode():
        features: Features = backbone(images())[0]
    return features.pooled


@pytest.fixture(scope="module")
def backbone() -> SwinBackbone:
    built = build(ARCH, seed=0)
    assert isinstance(built, SwinBackbone)
    return built.eval()


def test_each_stage_halves_the_grid_and_doubles_the_width(backbone: SwinBackbone) -> None:
    layers = backbone(images(), (0, 1, 3, 4))
    assert [tuple(layer.patches.shape[1:]) for layer in layers] == [
        (32, 16, 16), (64, 8, 8), (128, 4, 4), (256, 2, 2)
    ]  # fmt: skip
    assert backbone.info.stage(0) == Stage(1, 32, 2)
    assert backbone.info.stage(-1) == Stage(1, 256, 16)
    assert (backbone.info.patch_size, backbone.info.embed_dim) == (16, 256)


def test_images_need_not_be_square_nor_multiples(backbone: SwinBackbone) -> None:
    (features,) = backbone(images(30, 51))
    assert features.patches.shape == (2, 256, 2, 4)
    assert features.pooled.isfinite().all()


def test_only_the_last_stage_passes_through_the_final_norm(backbone: SwinBackbone) -> None:
    normed, raw = (backbone(images(), (-2, -1), norm=norm) for norm in (True, False))
    assert torch.equal(normed[0].patches, raw[0].patches)
    assert not torch.equal(normed[1].patches, raw[1].patches)


def test_an_unknown_layer_is_an_error(backbone: SwinBackbone) -> None:
    with pytest.raises(SettingError, match="layer 5 does not exist"):
        backbone(images(), (5,))


def test_there_is_no_attention_over_the_whole_image(backbone: SwinBackbone) -> None:
    with pytest.raises(MissingAbility):
        backbone.attention(images())


def test_drop_path_can_be_replaced_branch_by_branch() -> None:
    backbone = build(ARCH, seed=0, drop_path=0.4)
    assert isinstance(backbone, SwinBackbone)
    asked: list[tuple[int, float]] = []

    def make(branch: int, rate: float) -> nn.Module:
        asked.append((branch, round(rate, 2)))
        return nn.Identity()

    backbone.replace_drop_path(make)
    assert asked[::2] == [(0, 0.0), (2, 0.1), (4, 0.2), (6, 0.3), (8, 0.4)]


def test_every_parameter_learns() -> None:
    backbone = build(ARCH, seed=0)
    backbone(images())[0].pooled.square().sum().backward()
    still = [name for name, value in backbone.named_parameters() if value.grad is None]
    assert still == []


def test_a_swin_travels_through_our_own_file(tmp_path: Path, backbone: SwinBackbone) -> None:
    save_backbone(backbone, tmp_path / "backbone.safetensors", method="esvit")
    checkpoint = resolve(str(tmp_path))
    assert checkpoint.architecture == backbone.architecture
    assert checkpoint.position_rule == "none"
    assert torch.equal(pooled(load_backbone(checkpoint)), pooled(backbone))


def test_class_attention_stands_on_a_swin_too(tmp_path: Path) -> None:
    architecture = parse_swin(ARCH)
    assert architecture is not None
    built = build(replace(architecture, class_attention=2), seed=0).eval().requires_grad_(False)
    save_backbone(built, tmp_path / "backbone.safetensors", method="moby-selfpatch")
    checkpoint = resolve(str(tmp_path))
    assert checkpoint.pooled_from == "class_attention"
    assert isinstance(load_backbone(checkpoint), Aggregates)
    assert torch.equal(pooled(load_backbone(checkpoint)), pooled(built))


def test_other_weights_are_refused() -> None:
    with pytest.raises(StateMismatch, match="not the weights of a Swin"):
        infer_swin({"cls_token": (1, 1, 4)}, image_px=224, norm_eps=1e-6, name="vit")
