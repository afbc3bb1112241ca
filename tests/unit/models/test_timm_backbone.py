import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from vitbench.errors import MissingAbility, SettingError
from vitbench.models.architecture import Architecture
from vitbench.models.backbone import Backbone
from vitbench.models.timm_backbone import TimmBackbone, build_backbone

TINY = Architecture(
    name="tiny", patch_size=8, embed_dim=24, depth=3, heads=3, mlp_dim=48, grid=(4, 4)
)


def images(height: int = 32, width: int = 32, *, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def backbone() -> TimmBackbone:
    return build_backbone(TINY, seed=0).eval()


def test_layers_come_in_the_order_asked_for(backbone: TimmBackbone) -> None:
    first, last, again = backbone(images(), (0, -1, 2))
    assert torch.equal(last.pooled, again.pooled)
    assert not torch.equal(first.pooled, last.pooled)
    assert torch.equal(backbone(images(), (-3,))[0].patches, first.patches)


def test_features_have_the_shapes_of_the_image(backbone: TimmBackbone) -> None:
    (features,) = backbone(images(40, 59))
    assert features.pooled.shape == (2, 24)
    assert features.patches.shape == (2, 24, 5, 7)


def test_what_exceeds_a_multiple_of_the_patch_is_cropped(backbone: TimmBackbone) -> None:
    # 33 pixels: not square, so the dino rule resizes both; the last column never counts.
    wide = images(32, 39)
    (whole,), (cut,) = backbone(wide), backbone(wide[..., :33])
    assert torch.equal(whole.patches, cut.patches)


def test_without_norm_the_residual_stream_is_raw(backbone: TimmBackbone) -> None:
    with torch.no_grad():
        backbone.norm.weight.fill_(2.0)
        (normed,), (raw,) = backbone(images()), backbone(images(), norm=False)
        torch.testing.assert_close(backbone.norm(raw.pooled), normed.pooled)


def test_an_unknown_layer_is_an_error(backbone: TimmBackbone) -> None:
    with pytest.raises(
        SettingError, match="layer 3 does not exist: tiny has layers 0 to 2, or -3 to -1"
    ):
        backbone(images(), (3,))


def test_an_image_smaller_than_a_patch_is_an_error(backbone: TimmBackbone) -> None:
    with pytest.raises(SettingError, match="smaller than a patch"):
        backbone(images(7, 32))


def test_attention_rows_sum_to_one(backbone: TimmBackbone) -> None:
    found = backbone.attention(images(16, 24))
    assert found.shape == (2, 3, 7, 7)
    torch.testing.assert_close(found.sum(-1), torch.ones(2, 3, 7))


def test_a_network_without_global_attention_says_so() -> None:
    class Maps(Backbone):
        forward = Backbone.forward

    Maps.__abstractmethods__ = frozenset()
    maps = Maps()
    maps.info = build_backbone(TINY, seed=0).info
    with pytest.raises(MissingAbility, match="no attention"):
        maps.attention(images())


def test_without_a_class_token_pooled_is_the_mean_patch() -> None:
    backbone = build_backbone(replace(TINY, cls_token=False, final_norm=False), seed=0)
    assert backbone.info.pooled_from == "mean_pool"
    (features,) = backbone(images())
    torch.testing.assert_close(features.pooled, features.patches.mean((2, 3)))


def test_registers_and_layer_scale_are_built() -> None:
    architecture = replace(TINY, registers=4, layer_scale=True, prefix_positions=False)
    backbone = build_backbone(architecture, seed=0)
    assert backbone.info.prefix_tokens == 5
    assert backbone.attention(images(16, 16)).shape == (2, 3, 9, 9)
    assert "blocks.0.ls1.gamma" in backbone.state_dict()


def test_positions_kept_in_memory_follow_a_changed_table(backbone: TimmBackbone) -> None:
    with torch.inference_mode():
        before = backbone(images(16, 16))[0].pooled
    with torch.no_grad():
        backbone.pos_embed.add_(torch.randn_like(backbone.pos_embed))
    with torch.inference_mode():
        after = backbone(images(16, 16))[0].pooled
    assert not torch.allclose(before, after)


def test_positions_learn_after_an_evaluation(backbone: TimmBackbone) -> None:
    with torch.inference_mode():
        backbone(images(16, 16))
    backbone(images(16, 16))[0].pooled.square().sum().backward()
    assert backbone.pos_embed.grad is not None
    assert backbone.pos_embed.grad.abs().sum() > 0


def test_a_frozen_backbone_takes_gradients_after_an_evaluation(backbone: TimmBackbone) -> None:
    with torch.inference_mode():
        backbone(images(16, 16))
    twin = copy.deepcopy(backbone)
    twin.pos_embed.requires_grad_(False)
    twin(images(16, 16))[0].pooled.square().sum().backward()


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = (build_backbone(TINY, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["pos_embed"], other["pos_embed"])


def test_weights_do_not_touch_the_global_generator() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    build_backbone(TINY, seed=0)
    assert torch.equal(before, torch.get_rng_state())


def test_drop_path_can_be_replaced_branch_by_branch() -> None:
    backbone = build_backbone(TINY, seed=0, drop_path=0.2)
    asked: list[tuple[int, float]] = []

    def make(layer: int, rate: float) -> nn.Module:
        asked.append((layer, round(rate, 3)))
        return nn.Identity()

    backbone.replace_drop_path(make)
    assert asked == [(0, 0.0), (1, 0.0), (2, 0.1), (3, 0.1), (4, 0.2), (5, 0.2)]
    backbone.train()
    assert torch.equal(backbone(images())[0].pooled, backbone(images())[0].pooled)
