from dataclasses import replace

import pytest
import torch

from vitbench.errors import UnknownName
from vitbench.models.backbone import BackboneInfo
from vitbench.models.constants import Pooling
from vitbench.models.timm_backbone import build_backbone
from vitbench_protocols.linear_probe import Choice
from vitbench_protocols.linear_probe.features import feature_sets


@pytest.fixture(scope="module")
def info() -> BackboneInfo:
    return build_backbone("vit_mini_patch8_64", seed=0).info


def test_small_backbones_give_four_class_tokens_and_base_ones_one_with_the_mean(
    info: BackboneInfo,
) -> None:
    (small,) = feature_sets(("by-size",), info)
    assert [output.layer for output in small.outputs] == [-4, -3, -2, -1]
    assert small.said == "class token of the last 4 blocks"
    (base,) = feature_sets(("by-size",), replace(info, embed_dim=768))
    assert [output.key for output in base.outputs] == ["block-1.pooled", "block-1.mean"]
    assert base.said == "class token of the last block, interleaved with its mean patch"


def test_interleaving_alternates_channel_by_channel(info: BackboneInfo) -> None:
    (both,) = feature_sets(("last-1+mean",), info)
    token, mean = both.outputs
    joined = both.join({token: torch.tensor([[1.0, 2.0]]), mean: torch.tensor([[10.0, 20.0]])})
    assert joined.tolist() == [[1.0, 10.0, 2.0, 20.0]]


@pytest.mark.parametrize(
    ("pooled_from", "said"),
    [
        ("class_attention", ["class-attention summary of the last block"]),
        ("mean_pool", ["mean patch of the last block", "mean patch of the last 4 blocks"]),
    ],
)
def test_a_backbone_without_class_tokens_is_said_by_the_name_of_its_feature(
    pooled_from: Pooling, said: list[str], info: BackboneInfo
) -> None:
    choices: tuple[Choice, ...] = ("last-1", "last-4", "last-1+mean")
    found = feature_sets(choices, replace(info, pooled_from=pooled_from))
    names = [one.said for one in found if not one.interleaved]
    assert names == said


def test_an_unknown_feature_is_named(info: BackboneInfo) -> None:
    with pytest.raises(UnknownName, match=r"no feature 'last4'.*Did you mean 'last-4'"):
        feature_sets(("last4",), info)  # type: ignore[arg-type]


def test_a_shallow_backbone_gives_the_blocks_it_has(info: BackboneInfo) -> None:
    (found,) = feature_sets(("last-4",), replace(info, depth=3))
    assert [output.layer for output in found.outputs] == [-3, -2, -1]
