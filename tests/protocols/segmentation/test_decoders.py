"""Decoders have the published sizes, and their dropout is drawn by sample."""

import math

import pytest
import torch
from torch import nn

from vitbench.models.architecture import Architecture
from vitbench.models.backbone import Stage
from vitbench.models.initialization import seeded
from vitbench.models.timm_backbone import build_backbone
from vitbench_protocols.segmentation.decoders import MAKERS, draw_dropout
from vitbench_protocols.segmentation.decoders.blocks import ChannelDropout
from vitbench_protocols.segmentation.decoders.linear import LinearDecoder
from vitbench_protocols.segmentation.settings import DecoderName

RELEASED = Architecture(  # ViT-S/16 as the released configuration builds it, for 512 px
    name="vit_small_patch16_512",
    patch_size=16,
    embed_dim=384,
    depth=12,
    heads=6,
    mlp_dim=1536,
    grid=(32, 32),
    cls_token=False,
    prefix_positions=False,
    final_norm=False,
)


PYRAMID = [Stage(1, 4 * 2**level, 4 * 2**level) for level in range(4)]


def maps_of(dim: int) -> list[Stage]:
    """Return what a ViT of 16 px patches gives: four maps of one width and stride."""
    return [Stage(12, dim, 16)] * 4


@pytest.mark.parametrize("name", ["semantic-fpn", "semantic-fpn-deconv", "upernet"])
def test_maps_that_are_a_pyramid_already_are_taken_as_they_are(name: DecoderName) -> None:
    decoder = seeded(MAKERS[name], PYRAMID, 5, seed=0).train()
    maps = [torch.zeros(2, each.width, 64 // each.stride, 96 // each.stride) for each in PYRAMID]
    scores = decoder(maps)[0]
    assert scores.shape == (2, 5, 16, 24)


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize(("name", "millions"), [("semantic-fpn", 26.380), ("upernet", 57.994)])
def test_networks_with_vit_s_have_the_published_number_of_parameters(
    name: DecoderName, millions: float
) -> None:
    backbone = build_backbone(RELEASED, seed=0)
    decoder = seeded(MAKERS[name], maps_of(384), 150, seed=0)
    assert parameters(backbone) == 21_982_080
    assert round(parameters(backbone, decoder) / 1e6, 3) == millions


def test_xcits_variant_is_as_wide_as_the_backbone() -> None:
    decoder = seeded(MAKERS["semantic-fpn-deconv"], maps_of(384), 150, seed=0)
    adapter = 3 * (384 * 384 * 4 + 384) + 2 * 384
    pyramid = 4 * (384 * 384 + 384) + 4 * (384 * 384 * 9 + 384)
    head = 4 * 384 * 128 * 9 + 3 * 128 * 128 * 9 + 7 * 2 * 128 + 128 * 150 + 150
    assert parameters(decoder) == adapter + pyramid + head


@pytest.mark.parametrize(
    ("name", "stride"), [("semantic-fpn", 16), ("semantic-fpn-deconv", 4), ("upernet", 4)]
)
def test_scores_come_at_the_stride_of_the_finest_map(name: DecoderName, stride: int) -> None:
    decoder = seeded(MAKERS[name], maps_of(8), 5, seed=0).eval()
    maps = [torch.randn(2, 8, 4, 6, generator=torch.Generator().manual_seed(1))] * 4
    (scores,) = decoder(maps)
    assert scores.shape == (2, 5, 4 * 16 // stride, 6 * 16 // stride)


def test_the_auxiliary_head_of_upernet_is_there_while_training() -> None:
    decoder = seeded(MAKERS["upernet"], maps_of(8), 5, seed=0).train()
    scores, auxiliary = decoder([torch.zeros(2, 8, 4, 4)] * 4)
    assert decoder.loss_weights == (1.0, 0.4)
    assert scores.shape == (2, 5, 16, 16)
    assert auxiliary.shape == (2, 5, 2, 2)


def test_the_linear_decoder_is_linear_in_normalized_tokens() -> None:
    decoder = seeded(LinearDecoder, 6, 3, seed=0)
    assert parameters(decoder) == 2 * 6 + 6 * 3 + 3
    (scores,) = decoder([torch.zeros(2, 6, 4, 5)])
    assert scores.shape == (2, 3, 4, 5)


def test_weights_follow_the_seed_and_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    one, same, other = (seeded(MAKERS["semantic-fpn"], maps_of(8), 5, seed=s) for s in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    weights = [decoder.classifier[1].weight for decoder in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_dropout_belongs_to_the_sample_not_to_the_batch() -> None:
    module = nn.Sequential(ChannelDropout(64, rate=0.5)).train()
    draw_dropout(module, 0, range(4))
    whole = module(torch.ones(4, 64, 1, 1))
    draw_dropout(module, 0, range(2, 4))
    assert torch.equal(whole[2:], module(torch.ones(2, 64, 1, 1)))
    kept = whole[whole > 0]
    assert torch.equal(kept, torch.full_like(kept, 2.0))
    assert math.isclose(len(kept) / whole.numel(), 0.5, abs_tol=0.15)
    assert torch.equal(module.eval()(whole), whole)
