"""Files of the methods' own code give the features of the networks that they came from."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torchvision.models import SwinTransformer
from torchvision.models import VisionTransformer as TorchvisionVit

from vitbench.errors import CheckpointError
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.factory import assemble
from vitbench.models.state_dict import check_complete
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_state import recognize_timm

State = dict[str, Tensor]


def randomized(network: Any) -> Any:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.1 + 0.05)
    return network.eval()


def close(mine: Tensor, other: Tensor) -> None:
    assert mine.shape == other.shape
    assert (mine - other).abs().max() <= 1e-5 * other.abs().max()


def pooled(path: Path, content: Any, images: Tensor, **flags: Any) -> Tensor:
    torch.save(content, path / "weights.pth")
    with torch.no_grad():
        found: Tensor = load_backbone(resolve(str(path / "weights.pth"), **flags))(images)[0].pooled
    return found


def vit(**more: Any) -> Any:
    options = {"img_size": 64, "embed_dim": 64, "depth": 2, "num_heads": 1, "num_classes": 0}
    return randomized(VisionTransformer(**{**options, **more}))


IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_torchvisions_vision_transformer_is_read(tmp_path: Path) -> None:
    network = randomized(TorchvisionVit(64, 16, 2, 4, 64, 128, num_classes=5))
    state = network.state_dict()
    network.heads = nn.Identity()
    with torch.no_grad():
        close(pooled(tmp_path, state, IMAGES, heads=4), network(IMAGES))


def test_torchvisions_swin_is_read(tmp_path: Path) -> None:
    network = randomized(
        SwinTransformer([4, 4], 24, [2, 2, 2, 2], [1, 2, 4, 8], [2, 2], num_classes=5)
    )
    state = network.state_dict()
    network.head = nn.Identity()
    with torch.no_grad():
        close(pooled(tmp_path, state, IMAGES, native_px=64), network(IMAGES))


@pytest.mark.parametrize("wrap", ["target_encoder", "encoder"])
def test_an_i_jepa_file_gives_its_encoder(wrap: str, tmp_path: Path) -> None:
    network = vit(class_token=False, global_pool="avg", fc_norm=False)
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    content = {wrap: state, "predictor": {"module.predictor_embed.weight": torch.ones(2, 2)}}
    with torch.no_grad():
        close(pooled(tmp_path, content, IMAGES, heads=1), network(IMAGES))


def test_an_msn_file_gives_its_target_encoder(tmp_path: Path) -> None:
    network, other = vit(), vit()
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    head = {"module.fc.fc1.weight": torch.ones(2, 2)}
    online = {f"module.{key}": value * 2 for key, value in other.state_dict().items()}
    content = {"encoder": {**online, **head}, "target_encoder": {**state, **head}, "epoch": 1}
    with torch.no_grad():
        close(pooled(tmp_path, content, IMAGES, heads=1), network(IMAGES))


MICRO: Any = {"embed_dim": 64, "depth": 2, "num_heads": 1, "num_classes": 0}
TOKEN: Any = {"global_pool": "token", "dynamic_img_size": True}
SIDE: Any = {"img_size": 64}


def dinov3_state(network: Any) -> State:
    """Return the weights of timm's network by the names of DINOv3's own code."""
    state: State = {}
    for name, value in network.state_dict().items():
        name = name.replace("gamma_1", "ls1.gamma").replace("gamma_2", "ls2.gamma")
        name = name.replace("reg_token", "storage_tokens")
        name = name.replace("fc1_g", "w1").replace("fc1_x", "w2")
        if "mlp.w1.weight" in "".join(state) + name:
            name = name.replace("mlp.fc2", "mlp.w3")
        if name.endswith("v_bias"):
            continue
        if name.endswith("q_bias"):
            other = network.state_dict()[name.replace("q_bias", "v_bias")]
            masked = torch.full_like(value, 7.0)  # of the keys: not used
            name, value = name.replace("q_bias", "qkv.bias"), torch.cat([value, masked, other])
            state[name + "_mask"] = torch.ones_like(value)
        state[name] = value
    return {**state, "mask_token": torch.ones(1, 64), "rope_embed.periods": torch.ones(16)}


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_file_of_dinov3_needs_no_flag(gated: bool, training: bool, tmp_path: Path) -> None:
    more: Any = {"swiglu_mlp": True, "swiglu_align_to": 8} if gated else {}
    network = randomized(
        timm.create_model(
            "vit_small_patch16_dinov3_qkvb",
            **MICRO,
            **TOKEN,
            **more,
        )
    )
    content: Any = dinov3_state(network)
    if training:
        content = {"teacher": {f"backbone.{key}": value for key, value in content.items()}}
    with torch.no_grad():
        close(pooled(tmp_path, content, IMAGES), network(IMAGES))


def clip_state(network: Any) -> State:
    """Return the weights of timm's network by the names of OpenAI's CLIP."""
    state: State = {}
    for name, value in network.state_dict().items():
        for ours, theirs in (
            ("patch_embed.proj.", "conv1."),
            ("norm_pre.", "ln_pre."),
            ("blocks.", "transformer.resblocks."),
            (".norm1.", ".ln_1."),
            (".norm2.", ".ln_2."),
            ("attn.qkv.", "attn.in_proj_"),
            ("attn.proj.", "attn.out_proj."),
            ("mlp.fc1.", "mlp.c_fc."),
            ("mlp.fc2.", "mlp.c_proj."),
            ("cls_token", "class_embedding"),
            ("pos_embed", "positional_embedding"),
        ):
            name = name.replace(ours, theirs)
        name = "ln_post." + name[5:] if name.startswith("norm.") else name
        flat = name in ("class_embedding", "positional_embedding")
        state[f"visual.{name}"] = value.squeeze() if flat else value
    text = {
        "transformer.resblocks.0.attn.in_proj_weight": torch.ones(3, 3),
        "positional_embedding": torch.ones(7, 8),
        "ln_final.weight": torch.ones(8),
        "logit_scale": torch.ones(()),
        "visual.proj": torch.ones(64, 8),
    }
    return {**text, **state}


def clip() -> Any:
    return randomized(
        timm.create_model(
            "vit_base_patch16_clip_quickgelu_224",
            **MICRO,
            **SIDE,
        )
    )


def test_a_state_dict_of_openais_clip_needs_no_flag(tmp_path: Path) -> None:
    network = clip()
    content = {**clip_state(network), "input_resolution": torch.tensor(64)}
    with torch.no_grad():
        close(pooled(tmp_path, content, IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    "name", ["vit_base_patch16_clip_224", "vit_base_patch16_clip_quickgelu_224"]
)
def test_a_state_dict_of_open_clip_is_read_by_the_name_that_tells_its_activation(name: str) -> None:
    network = randomized(timm.create_model(name, **MICRO, **SIDE))
    options: dict[str, Any] = {**MICRO, **SIDE}
    shape = TimmArchitecture(
        timm_name=name, image_size=(64, 64), options=tuple(sorted(options.items()))
    )
    found = recognize_timm(clip_state(network), shape, subject="open_clip")
    backbone = assemble(shape)
    check_complete(found.state, backbone.own_state(), subject=name, where=found.where)
    backbone.to_empty(device="cpu").eval()
    backbone.fill(found.state)
    with torch.no_grad():
        close(backbone(IMAGES)[0].pooled, network(IMAGES))


def test_a_state_dict_of_open_clip_without_a_name_says_which_names_there_are(
    tmp_path: Path,
) -> None:
    torch.save(clip_state(clip()), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="weights of CLIP") as raised:
        resolve(str(tmp_path / "weights.pth"))
    assert "_clip_quickgelu_224" in str(raised.value)


def test_a_trunk_of_timm_inside_open_clip_is_read_by_its_name(tmp_path: Path) -> None:
    network = randomized(timm.create_model("test_vit3", num_classes=0))
    state = {f"visual.trunk.{key}": value for key, value in network.state_dict().items()}
    state |= {"visual.head.proj.weight": torch.ones(2, 2), "text.ln_final.weight": torch.ones(2)}
    images = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        close(pooled(tmp_path, state, images, arch="test_vit3"), network(images))


def lightning(network: Any) -> dict[str, Any]:
    state = {f"net.trunk.{key}": value for key, value in network.state_dict().items()}
    extra = {"net.trunk.classifier.weight": torch.ones(2, 2), "criterion.queue": torch.ones(3)}
    return {"state_dict": {**state, **extra}, "epoch": 3}


@pytest.mark.parametrize("prefix", ["net.trunk.", "net.trunk"])
def test_a_prefix_is_taken_off_and_other_keys_are_left_out(prefix: str, tmp_path: Path) -> None:
    network = vit()
    flags: dict[str, Any] = {"prefix": prefix, "ignore": ("classifier.*",), "heads": 1}
    with torch.no_grad():
        close(pooled(tmp_path, lightning(network), IMAGES, **flags), network(IMAGES))
    found = resolve(str(tmp_path / "weights.pth"), **flags)
    left_out = {"net.trunk.classifier.weight", "criterion.queue"}
    assert left_out <= set(found.accounting.ignored)


def test_a_key_that_no_pattern_names_is_not_lost(tmp_path: Path) -> None:
    torch.save(lightning(vit()), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="1 keys of the file were not used"):
        resolve(str(tmp_path / "weights.pth"), prefix="net.trunk.", heads=1)


def test_a_prefix_that_no_key_has_is_refused_with_the_keys(tmp_path: Path) -> None:
    torch.save(lightning(vit()), tmp_path / "weights.pth")
    with pytest.raises(CheckpointError, match="no key of a tensor is left") as raised:
        resolve(str(tmp_path / "weights.pth"), prefix="encoder.", heads=1)
    assert "net.trunk." in str(raised.value)
