"""Ours computes those of timm's networks of which it has every part; timm the others."""

from dataclasses import replace

import pytest
import timm
import torch

from vitbench.models.architecture import Architecture
from vitbench.models.constants import Activation
from vitbench.models.factory import assemble
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_backbone import TimmBackbone
from vitbench.models.timm_names import named_by_timm


@pytest.mark.parametrize(
    "name",
    [
        "vit_small_patch16_18x2_224",  # parallel blocks
        "vit_base_patch16_rpn_224",  # norms after the branches
        "vit_base_patch16_clip_224",  # a norm before the blocks
        "vit_base_patch16_siglip_224",  # pools by attention
        "vit_base_patch16_reg4_gap_256",  # a norm after pooling
        "vit_giant_patch14_dinov2",  # gated MLPs
        "vit_small_r26_s32_224",  # patches by a ResNet
    ],
)
def test_a_network_with_other_parts_is_computed_by_timm(name: str) -> None:
    assert isinstance(named_by_timm(name), TimmArchitecture)


def test_a_name_may_have_a_tag() -> None:
    assert isinstance(named_by_timm("vit_small_patch16_384.augreg_in21k_ft_in1k"), Architecture)


@pytest.mark.parametrize(
    ("name", "activation"),
    [("vit_base_patch32_siglip_gap_256", "gelu_tanh"), ("vit_small_patch14_dinov2", "gelu")],
)
def test_the_activation_is_timms(name: str, activation: Activation) -> None:
    architecture = named_by_timm(name)
    assert isinstance(architecture, Architecture)
    assert architecture.activation == activation
    assert isinstance(assemble(architecture), TimmBackbone)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_features_with_tanhs_gelu_are_timms_own(grad: bool, autocast: bool) -> None:
    torch.manual_seed(0)
    name = "vit_base_patch32_siglip_gap_256"
    theirs = timm.create_model(name, num_classes=0, depth=2, img_size=64).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    architecture = named_by_timm(name)
    assert isinstance(architecture, Architecture)
    ours = assemble(replace(architecture, depth=2, grid=(2, 2))).to_empty(device="cpu").eval()
    ours.load_state_dict(theirs.state_dict())
    pixels = torch.randn(2, 3, 64, 64)
    with torch.set_grad_enabled(grad), torch.autocast("cpu", enabled=autocast):
        expected = theirs.forward_features(pixels).mean(dim=1)  # type: ignore[operator]
        found = ours(pixels)[0].pooled
    tolerance = 3e-2 if autocast else 1e-5
    torch.testing.assert_close(found.float(), expected.float(), atol=tolerance, rtol=tolerance)
