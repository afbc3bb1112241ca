"""Networks of transformers give the same features here, from the folders that it writes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as untyped
from safetensors.torch import load_file, save_file
from torch import Tensor

from vitbench.errors import CheckpointError
from vitbench.models.backbone import Features
from vitbench.models.checkpoint import load_backbone, resolve

transformers: Any = untyped  # its annotations are not those of its calls
SIZES = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "image_size": 64,
    "patch_size": 16,
}
DECODER = {f"decoder_{name}": size for name, size in SIZES.items() if name[0] in "hni"}
GATED = {"use_swiglu_ffn": True}
RELATIVE = {"use_relative_position_bias": True}
SWIN = {
    "image_size": 64,
    "patch_size": 4,
    "embed_dim": 24,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
}
NETWORKS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "vit": ("ViTConfig", "ViTModel", SIZES, "normed"),
    "mae": ("ViTMAEConfig", "ViTMAEForPreTraining", {**SIZES, **DECODER}, "mae"),
    "msn": ("ViTMSNConfig", "ViTMSNModel", SIZES, "normed"),
    "ijepa": ("IJepaConfig", "IJepaModel", SIZES, "normed"),
    "dinov2": ("Dinov2Config", "Dinov2Model", SIZES, "normed"),
    "dinov2-giant": ("Dinov2Config", "Dinov2Model", {**SIZES, **GATED}, "normed"),
    "dinov2-registers": (
        "Dinov2WithRegistersConfig",
        "Dinov2WithRegistersModel",
        SIZES,
        "normed",
    ),
    "dinov2-giant-registers": (
        "Dinov2WithRegistersConfig",
        "Dinov2WithRegistersModel",
        {**SIZES, **GATED},
        "normed",
    ),
    "dinov3": ("DINOv3ViTConfig", "DINOv3ViTModel", {**SIZES, "num_register_tokens": 4}, "normed"),
    "dinov3-gated": (
        "DINOv3ViTConfig",
        "DINOv3ViTModel",
        {**SIZES, "num_register_tokens": 4, "use_gated_mlp": True, "hidden_act": "silu"},
        "normed",
    ),
    "dinov3-without-bias": (
        "DINOv3ViTConfig",
        "DINOv3ViTModel",
        {**SIZES, "num_register_tokens": 4, "query_bias": False, "value_bias": False},
        "normed",
    ),
    "clip": ("CLIPVisionConfig", "CLIPVisionModel", SIZES, "raw"),
    "clip-gelu": ("CLIPVisionConfig", "CLIPVisionModel", {**SIZES, "hidden_act": "gelu"}, "raw"),
    "siglip": ("SiglipVisionConfig", "SiglipVisionModel", SIZES, "normed"),
    "siglip2": (
        "Siglip2VisionConfig",
        "Siglip2VisionModel",
        {**SIZES, "num_patches": 16},
        "naflex",
    ),
    "beit": ("BeitConfig", "BeitModel", {**SIZES, **RELATIVE}, "raw"),
    "beit-shared": (
        "BeitConfig",
        "BeitModel",
        {**SIZES, "use_shared_relative_position_bias": True, "use_mean_pooling": False},
        "normed",
    ),
    "swin": ("SwinConfig", "SwinModel", SWIN, "normed"),
}  # fmt: skip


def written(name: str, folder: Path, **more: Any) -> Any:
    """Write the folder of a network with random weights; return the network."""
    config, model, sizes, _ = NETWORKS[name]
    torch.manual_seed(0)
    network = getattr(transformers, model)(getattr(transformers, config)(**sizes)).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3 + 0.1)
    network.save_pretrained(folder, **more)
    return network


def ours(folder: Path, images: Tensor, *, norm: bool = True) -> Features:
    with torch.no_grad():
        found: Features = load_backbone(resolve(str(folder)))(images, norm=norm)[0]
    return found


def theirs(name: str, network: Any, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the last hidden state (B, T, D) and what the network pools, if anything."""
    kind = NETWORKS[name][3]
    with torch.no_grad():
        if kind == "mae":
            # the encoder drops patches at random: none, in their order
            network.vit.embeddings.config.mask_ratio = 0.0
            noise = torch.arange(16.0).expand(len(images), -1)
            return network.vit(images, noise=noise).last_hidden_state, None
        if kind == "naflex":
            patches = images.unfold(2, 16, 16).unfold(3, 16, 16)  # (B, 3, h, w, 16, 16)
            pixels = patches.permute(0, 2, 3, 4, 5, 1).flatten(3).flatten(1, 2)
            mask = torch.ones(pixels.shape[:2], dtype=torch.long)
            shapes = torch.tensor([[4, 4]] * len(images))
            out = network(pixels, pixel_attention_mask=mask, spatial_shapes=shapes)
        else:
            out = network(images)
    return out.last_hidden_state, getattr(out, "pooler_output", None)


def close(mine: Tensor, other: Tensor) -> None:
    assert (mine - other).abs().max() <= 1e-5 * other.abs().max()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_hidden_state_is_that_of_transformers(name: str, tmp_path: Path) -> None:
    network = written(name, tmp_path)
    images = torch.randn(2, 3, 64, 64)
    hidden, _ = theirs(name, network, images)
    raw = NETWORKS[name][3] == "raw"
    mine = ours(tmp_path, images, norm=not raw).patches.flatten(2).transpose(1, 2)
    close(mine, hidden[:, hidden.shape[1] - mine.shape[1] :])


@pytest.mark.parametrize(
    "name", ["clip", "clip-gelu", "siglip", "siglip2", "beit", "dinov2-giant", "dinov3"]
)
def test_what_the_network_pools_is_that_of_transformers(name: str, tmp_path: Path) -> None:
    network = written(name, tmp_path)
    images = torch.randn(2, 3, 64, 64)
    _, pooled = theirs(name, network, images)
    assert pooled is not None
    close(ours(tmp_path, images).pooled, pooled)


def test_the_image_encoder_of_a_whole_clip_is_taken_out_of_it(tmp_path: Path) -> None:
    text = {**SIZES, "vocab_size": 64, "max_position_embeddings": 8}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(text_config=text, vision_config=SIZES, projection_dim=16)
    network = transformers.CLIPModel(config).eval()
    network.save_pretrained(tmp_path)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        pooled = network.vision_model(images).pooler_output
    close(ours(tmp_path, images).pooled, pooled)
    ignored = resolve(str(tmp_path)).accounting.ignored
    assert any(key.startswith("text_model.") for key in ignored)


def test_the_trunk_of_a_masked_beit_needs_no_flag(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.BeitConfig(
        **SIZES, **RELATIVE, use_mean_pooling=False, use_mask_token=True, vocab_size=8
    )
    network = transformers.BeitForMaskedImageModeling(config).eval()
    network.save_pretrained(tmp_path)
    images = torch.randn(2, 3, 64, 64)
    found = resolve(str(tmp_path))
    with torch.no_grad():
        hidden = network.beit(images).last_hidden_state
        mine = load_backbone(found)(images)[0].patches.flatten(2).transpose(1, 2)
    close(mine, hidden[:, 1:])
    assert {"lm_head.weight", "layernorm.weight"} <= set(found.accounting.ignored)
    assert resolve(str(tmp_path), prefix="beit.").sha256 == found.sha256


def test_a_dinov3_takes_another_size_as_transformers_does(tmp_path: Path) -> None:
    network = written("dinov3", tmp_path)
    images = torch.randn(1, 3, 48, 80)
    hidden, _ = theirs("dinov3", network, images)
    mine = ours(tmp_path, images).patches
    assert mine.shape[-2:] == (3, 5)
    close(mine.flatten(2).transpose(1, 2), hidden[:, 5:])


def test_a_rotation_of_another_base_is_refused(tmp_path: Path) -> None:
    written("dinov3", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "rope_theta": 50.0}))
    with pytest.raises(CheckpointError, match="rope_theta 50"):
        resolve(str(tmp_path))


def test_shards_are_joined(tmp_path: Path) -> None:
    written("dinov2", tmp_path / "whole")
    written("dinov2", tmp_path / "parts", max_shard_size="60KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    whole, parts = resolve(str(tmp_path / "whole")), resolve(str(tmp_path / "parts"))
    assert whole.sha256 == parts.sha256
    assert parts.file_sha256
    assert parts.file_sha256 != whole.file_sha256


@pytest.mark.parametrize("name", ["../one.safetensors", "/etc/one.safetensors", "one.bin"])
def test_an_index_that_names_a_file_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    written("dinov2", tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path.parent / "one.safetensors")
    index = {"weight_map": {"layernorm.weight": name}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="lists files that are not read"):
        resolve(str(tmp_path))


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    written("dinov2", tmp_path, max_shard_size="60KB")
    first = min(tmp_path.glob("*.safetensors"))
    first.unlink()
    with pytest.raises(CheckpointError, match=first.name):
        resolve(str(tmp_path))


def test_a_key_in_two_shards_is_refused(tmp_path: Path) -> None:
    written("dinov2", tmp_path, max_shard_size="60KB")
    first, second, *_ = sorted(tmp_path.glob("*.safetensors"))
    save_file({**load_file(second), **load_file(first)}, second)
    with pytest.raises(CheckpointError, match="no shard of its folder"):
        resolve(str(tmp_path))
