"""Who says what weights do not tell: heads, a Swin's native size, and whose weights they are."""

import json
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor

from vitbench.errors import CheckpointError, StateMismatch
from vitbench.models.architecture import Architecture, parse_architecture
from vitbench.models.checkpoint import Checkpoint, load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.families import family_of_keys
from vitbench.models.swin_architecture import SwinArchitecture, parse_swin
from vitbench.models.timm_backbone import build_backbone

State = dict[str, Tensor]
SMALL = "vit_small_patch16_64"  # 6 heads by that name


@pytest.fixture(scope="module")
def small() -> State:
    return build_backbone(SMALL, seed=0).state_dict()


def vit(name: str) -> Architecture:
    found = parse_architecture(name)
    assert found is not None
    return found


def saved(folder: Path, content: Mapping[str, Any], **flags: Any) -> Checkpoint:
    torch.save(content, folder / "file.pth")
    return resolve(str(folder / "file.pth"), **flags)


def moco(state: State, **more: Any) -> dict[str, Any]:
    return {"state_dict": {f"module.base_encoder.{k}": v for k, v in state.items()}, **more}


def test_the_formats_heads_stand_before_a_name_in_the_files_arguments(
    small: State, tmp_path: Path
) -> None:
    found = saved(tmp_path, moco(small, args=Namespace(arch="vit_small")))
    assert found.architecture.heads == 12
    said = "12 heads, from the format moco-v3 (not 6 by the file's arguments, arch vit_small)"
    assert said in found.said


def test_a_name_with_other_heads_than_the_format_is_refused(small: State, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has 6 attention heads, these weights 12") as raised:
        saved(tmp_path, moco(small), arch=SMALL)
    assert "leave --arch out, or --num-heads 6" in str(raised.value)
    assert saved(tmp_path, moco(small)).architecture.heads == 12
    found = saved(tmp_path, moco(small), arch=SMALL, heads=6)
    assert found.architecture.heads == 6
    assert any("6 heads, from --num-heads (not 12 by the format moco-v3" in x for x in found.said)


def test_a_name_with_other_heads_than_the_files_arguments_is_refused(
    small: State, tmp_path: Path
) -> None:
    side = {f"backbone.{key}": value for key, value in small.items()}
    content = {"teacher": side, "args": Namespace(arch="vit_tiny")}  # would be 3 heads
    with pytest.raises(CheckpointError, match=r"has 6 attention heads, these weights 3"):
        saved(tmp_path, content, arch=SMALL)


def test_our_own_files_facts_are_held_against_a_name(tmp_path: Path) -> None:
    eight = build_backbone(replace(vit(SMALL), heads=8), seed=0)
    save_backbone(eight, tmp_path / "backbone.safetensors", method="dino")
    assert resolve(str(tmp_path)).architecture.heads == 8
    with pytest.raises(CheckpointError, match=r"heads 6(.|\n)*heads 8"):
        resolve(str(tmp_path), arch=SMALL)
    assert resolve(str(tmp_path), heads=6).architecture.heads == 6


def test_heads_said_by_number_serve_weights_of_any_width(tmp_path: Path) -> None:
    odd = replace(vit(SMALL), embed_dim=80, mlp_dim=160, heads=5)
    state = build_backbone(odd, seed=0).state_dict()
    assert saved(tmp_path, state, heads=5).architecture.heads == 5
    with pytest.raises(CheckpointError, match="80 wide can't have 7 heads"):
        saved(tmp_path, state, heads=7)


@pytest.mark.parametrize("field", ["heads", "depth", "embed_dim", "patch_size", "norm_eps"])
@pytest.mark.parametrize("value", [-3, 0, 10**9, float("nan")])
def test_our_own_facts_out_of_range_are_refused_by_their_field(
    field: str, value: float, tmp_path: Path
) -> None:
    path = tmp_path / "backbone.safetensors"
    save_backbone(build_backbone(SMALL, seed=0), path, method="dino")
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["vitbench"])
    facts["architecture"][field] = value
    save_file(load_file(path), path, {"vitbench": json.dumps(facts)})
    with pytest.raises(CheckpointError, match=rf"own facts can't be used(.|\n)*{field}"):
        resolve(str(tmp_path))


def swin(img_size: int, window: int, **shape: Any) -> Any:
    sizes: dict[str, Any] = {"embed_dim": 16, "depths": (2, 2, 2, 2), "num_heads": (1, 2, 2, 4)}
    return SwinTransformer(img_size=img_size, window_size=window, patch_size=4, num_classes=0,
                           **sizes | shape).eval()  # fmt: skip


def test_a_swins_native_size_is_asked_for_where_nothing_tells_it(tmp_path: Path) -> None:
    state = swin(448, 7).state_dict()
    with pytest.raises(CheckpointError, match=r"image size that this Swin(.|\n)*--native-px 224"):
        saved(tmp_path, state)
    assert saved(tmp_path, state, native_px=448).architecture.image_px == 448  # type: ignore[union-attr]


@pytest.mark.parametrize(("native", "window"), [(448, 7), (224, 7), (384, 12), (96, 3)])
def test_a_swins_native_size_is_read_from_the_masks_of_its_windows(
    native: int, window: int, tmp_path: Path
) -> None:
    network = swin(native, window)
    state = dict(network.state_dict())
    for stage, layer in enumerate(network.layers):
        side = native // 4 // 2**stage // window
        if side > 1:  # as the official code saves them
            area = window * window
            state[f"layers.{stage}.blocks.1.attn_mask"] = torch.zeros(side * side, area, area)
        assert (layer.blocks[1].attn_mask is not None) == (side > 1)
    found = saved(tmp_path, state)
    assert isinstance(found.architecture, SwinArchitecture)
    assert found.architecture.image_px == native
    assert f"native size {native} px, from the masks of its windows" in found.said
    pixels = torch.randn(1, 3, native, native, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        ours = load_backbone(found)(pixels)[0].patches
        theirs = network.forward_features(pixels).permute(0, 3, 1, 2)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_last_stage_below_the_window_tells_the_native_size(tmp_path: Path) -> None:
    found = saved(tmp_path, swin(96, 7).state_dict())  # its last stage is 3 x 3
    assert found.architecture.image_px == 96  # type: ignore[union-attr]
    assert any("from the last stage's table of biases" in line for line in found.said)


def test_a_name_of_another_size_than_the_masks_is_refused(tmp_path: Path) -> None:
    state = dict(
        swin(448, 7, embed_dim=32, depths=(1, 1, 2, 1), num_heads=(1, 2, 4, 8)).state_dict()
    )
    state["layers.0.blocks.1.attn_mask"] = torch.zeros(256, 49, 49)
    with pytest.raises(CheckpointError, match=r"images of 224 px(.|\n)*images of 448 px"):
        saved(tmp_path, state, arch="swin_mini_patch4_window7_224")
    assert saved(tmp_path, state, arch="swin_mini_patch4_window7_448")


def test_the_large_swin_is_known_by_name() -> None:
    with torch.device("meta"):
        theirs = timm.create_model("swin_large_patch4_window12_384", num_classes=0)
    ours = parse_swin("swin_large_patch4_window12_384")
    assert ours is not None
    assert (ours.embed_dim, ours.grids) == (192, (96, 48, 24, 12))
    blocks = [layer.blocks for layer in theirs.layers]  # type: ignore[union-attr]
    assert ours.depths == tuple(len(stage) for stage in blocks)
    assert ours.heads == tuple(stage[0].attn.num_heads for stage in blocks)


ONE = torch.ones(1)


@pytest.mark.parametrize(
    ("family", "keys"),
    [
        ("DINOv3", ("storage_tokens", "rope_embed.periods", "blocks.0.attn.qkv.bias_mask")),
        ("DINOv3", ("layer.0.attention.q_proj.weight", "layer.0.layer_scale1.lambda1")),
        ("BEiT", ("blocks.0.attn.q_bias", "blocks.0.gamma_1", "rel_pos_bias.index")),
        ("CaiT", ("blocks_token_only.0.gamma_1",)),
        ("EVA", ("blocks.0.attn.q_proj.weight", "blocks.0.mlp.w1.weight")),
        ("CLIP", ("visual.transformer.resblocks.0.attn.in_proj_weight", "visual.conv1.weight")),
        ("Hiera or MViT", ("blocks.0.attn.rel_pos_h", "pos_embed_win")),
        ("CLIP", ("vision_model.pre_layrnorm.weight",)),
        ("SigLIP", ("vision_model.head.probe",)),
        ("open_clip", ("visual.trunk.cls_token",)),
        ("DINOv2's giant", ("blocks.0.mlp.w12.weight",)),
        ("a ResNet", ("layer1.0.conv1.weight",)),
    ],
)
@pytest.mark.parametrize("known", [True, False])
def test_weights_of_another_family_are_called_by_its_name_before_their_heads_are_asked(
    family: str, keys: tuple[str, ...], known: bool, small: State, tmp_path: Path
) -> None:
    content = {**(small if known else {}), **dict.fromkeys(keys, ONE)}
    with pytest.raises(CheckpointError, match=f"these are weights of {family}") as raised:
        saved(tmp_path, content)
    assert "attention heads" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("beit_base_patch16_224", "BEiT"),
        ("beitv2_base_patch16_224", "BEiT"),
        ("cait_xxs24_224", "CaiT"),
        ("xcit_nano_12_p16_224", "XCiT"),
        ("eva02_tiny_patch14_224", "EVA"),
        ("vit_base_patch16_clip_224", "CLIP"),
        ("vit_base_patch16_siglip_224", "SigLIP"),
        ("deit_tiny_distilled_patch16_224", "distilled DeiT"),
        ("swinv2_tiny_window8_256", "Swin Transformer V2"),
        ("convnext_atto", "ConvNeXt"),
        ("resnet18", "a ResNet"),
    ],
)
def test_networks_of_timm_are_told_apart_by_their_keys(name: str, family: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    assert family_of_keys(network.state_dict().keys()).startswith(family)


@pytest.mark.parametrize(
    "name", ["vit_small_patch16_224", "vit_small_patch14_reg4_dinov2", "deit3_small_patch16_224",
             "swin_tiny_patch4_window7_224"],
)  # fmt: skip
def test_a_plain_vit_or_swin_is_no_other_family(name: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    assert family_of_keys(network.state_dict().keys()) == ""


def test_keys_are_accounted_for_before_the_heads_are_asked(small: State, tmp_path: Path) -> None:
    with pytest.raises(StateMismatch, match=r"1 keys of the file were not used(.|\n)*blocks.0.odd"):
        saved(tmp_path, {**small, "blocks.0.odd": ONE})
