"""Every layout gives the numbers of the module that it was saved from, not just matching keys."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor, nn

from vitbench.errors import CheckpointError
from vitbench.models.backbone import Features
from vitbench.models.checkpoint import Checkpoint, load_backbone, resolve
from vitbench.models.factory import assemble
from vitbench.models.infer_architecture import infer_architecture
from vitbench.models.locate import Source
from vitbench.models.manifest import Manifest
from vitbench.models.recognize_format import recognize
from vitbench.models.state_dict import check_complete
from vitbench.models.state_dict_formats import FORMATS
from vitbench.models.swin_architecture import SwinArchitecture

VALUES = Path(__file__).parent / "values"
ARCH = "vit_micro_patch8_32"  # D 64, 4 blocks, 2 heads
State = dict[str, Tensor]


def seeded(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def lively(module: nn.Module, seed: int = 1) -> nn.Module:
    """Give a module weights whose every part counts."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=seeded(seed)))
    return module.eval()


def vit(seed: int = 1, *, eps: float = 1e-6, **shape: Any) -> Any:
    """Build one of timm's Vision Transformers, of the size of `ARCH` unless told otherwise."""
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 2}
    norm = partial(nn.LayerNorm, eps=eps)
    return lively(VisionTransformer(num_classes=0, norm_layer=norm, **sizes | shape), seed)


def images(size: tuple[int, int] = (32, 32)) -> Tensor:
    return torch.randn(2, 3, *size, generator=seeded(3))


def tokens(checkpoint: Checkpoint, pixels: Tensor) -> Tensor:
    """Return class token, then patches, as all these modules order them."""
    with torch.inference_mode():
        features: Features = load_backbone(checkpoint)(pixels)[0]
    return torch.cat([features.pooled[:, None], features.patches.flatten(2).mT], dim=1)


def saved(path: Path, content: Mapping[str, Any], **flags: Any) -> Checkpoint:
    torch.save(content, path)
    return resolve(str(path), **flags)


def prefixed(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + key: value for key, value in state.items()}


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def dino(state: State) -> dict[str, Any]:
    return {"teacher": prefixed("backbone.", state) | {"head.mlp.0.weight": torch.ones(2)}}


def ibot(state: State) -> dict[str, Any]:
    more = {"head.last_layer2.weight_g": torch.ones(2), "backbone.masked_embed": torch.ones(1, 64)}
    return {"teacher": prefixed("backbone.", state) | more}


def esvit(state: State) -> dict[str, Any]:
    return {"teacher": state | {"head_dense.mlp.0.weight": torch.ones(2)}, "epoch": 3}


def moby(state: State) -> dict[str, Any]:
    other = {key: torch.zeros_like(value) for key, value in state.items()}
    rest = {"queue1": torch.ones(2), "predictor.linear_out.weight": torch.ones(2)}
    return {"model": prefixed("encoder.", state) | prefixed("encoder_k.", other) | rest}


def vissl(state: State) -> dict[str, Any]:
    names = {"cls_token": "class_token", "pos_embed": "pos_embedding"}
    trunk = {names.get(key, key): value for key, value in state.items()}
    model = {"trunk": trunk, "heads": {"0.clf.weight": torch.ones(2)}}
    return {"classy_state_dict": {"base_model": {"model": model}}}


def mae(state: State) -> dict[str, Any]:
    more = {"mask_token": torch.ones(1), "decoder_embed.weight": torch.ones(2)}
    return {"model": state | more}


def lightning(state: State) -> dict[str, Any]:
    return {"state_dict": prefixed("model.backbone.", state), "epoch": 1}


@pytest.mark.parametrize(
    ("wrap", "name", "method"),
    [(dino, "dino-training", "dino"), (ibot, "ibot", "ibot"), (esvit, "esvit", "esvit"),
     (moby, "moby", "moby"), (mae, "mae", "mae"), (lightning, "state-dict", "")],
)  # fmt: skip
def test_a_vit_in_a_methods_layout_keeps_its_numbers(
    wrap: Callable[[State], dict[str, Any]], name: str, method: str, tmp_path: Path
) -> None:
    source = vit()
    checkpoint = saved(tmp_path / "file", wrap(source.state_dict()), arch=ARCH)
    assert (checkpoint.format, checkpoint.method) == (name, method)
    with torch.inference_mode():
        close(tokens(checkpoint, images()), source.forward_features(images()))


def test_vissl_has_its_own_epsilon(tmp_path: Path) -> None:
    source = vit(eps=1e-5)
    checkpoint = saved(tmp_path / "file", vissl(source.state_dict()), arch=ARCH)
    assert checkpoint.format == "vissl"
    assert checkpoint.architecture.norm_eps == 1e-5
    with torch.inference_mode():
        close(tokens(checkpoint, images()), source.forward_features(images()))


def test_moco_v3_has_twelve_heads_and_its_base_encoder(tmp_path: Path) -> None:
    source = vit(embed_dim=48, depth=2, num_heads=12)
    other = {key: torch.zeros_like(value) for key, value in source.state_dict().items()}
    content = {
        "state_dict": prefixed("module.base_encoder.", source.state_dict())
        | prefixed("module.momentum_encoder.", other)
        | {"module.base_encoder.head.0.weight": torch.ones(2)}
        | {"module.predictor.0.weight": torch.ones(2)},
        "arch": "vit_small",
    }
    checkpoint = saved(tmp_path / "file", content)
    assert (checkpoint.format, checkpoint.architecture.heads) == ("moco-v3", 12)
    with torch.inference_mode():
        close(tokens(checkpoint, images()), source.forward_features(images()))


@pytest.mark.parametrize("registers", [0, 3])
def test_dinov2_gives_what_timm_makes_of_it(registers: int, tmp_path: Path) -> None:
    shape: dict[str, Any] = {"embed_dim": 128, "depth": 2, "num_heads": 2, "init_values": 1e-5}
    source = vit(reg_tokens=registers, no_embed_class=registers > 0, patch_size=14, img_size=56,
                 **shape)  # fmt: skip
    official = {key: value.clone() for key, value in source.state_dict().items()}
    official["mask_token"] = torch.zeros(1, 128)
    official["pos_embed"] = torch.randn(1, 17, 128, generator=seeded(4))
    if registers:
        official["register_tokens"] = official.pop("reg_token")
    source.load_state_dict(checkpoint_filter_fn(dict(official), source))
    checkpoint = saved(tmp_path / "file", official)
    assert checkpoint.method == "dinov2"
    assert checkpoint.architecture.heads == 2
    pixels = images((56, 56))
    with torch.inference_mode():
        expected = source.forward_features(pixels)
    found = tokens(checkpoint, pixels)
    close(found[:, 0], expected[:, 0])
    close(found[:, 1:], expected[:, 1 + registers :])


@pytest.mark.parametrize("change", [{}, {"init_values": 0.1, "no_embed_class": True}])
def test_timms_own_files_keep_their_numbers(change: dict[str, Any], tmp_path: Path) -> None:
    source = vit(**change)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    checkpoint = resolve(str(tmp_path / "model.safetensors"), arch=ARCH)
    assert checkpoint.format == "flat"
    with torch.inference_mode():
        close(tokens(checkpoint, images()), source.forward_features(images()))


@pytest.mark.parametrize("tag", ["sq", "rect"])
@pytest.mark.parametrize("name", ["vit", "vitcls", "dinov2", "reg"])
def test_hugging_face_names_keep_their_numbers(name: str, tag: str, tmp_path: Path) -> None:
    stored = np.load(VALUES / "hugging_face.npz", allow_pickle=False)
    state = {
        key.partition(":")[2]: torch.from_numpy(stored[key])
        for key in stored.files
        if key.startswith(f"{name}:")
    }
    config = str(stored[f"config:{name}"])
    (tmp_path / "config.json").write_text(config)
    (tmp_path / "preprocessor_config.json").write_text('{"image_mean": [0.5, 0.5, 0.5]}')
    save_file(state, tmp_path / "model.safetensors")
    checkpoint = resolve(str(tmp_path))
    assert checkpoint.architecture.norm_eps == json.loads(config)["layer_norm_eps"]
    assert checkpoint.mean == (0.5, 0.5, 0.5)
    found = tokens(checkpoint, torch.from_numpy(stored[f"x_{tag}"]))
    expected = torch.from_numpy(stored[f"out_{name}_{tag}"])
    close(found[:, 0], expected[:, 0])
    close(found[:, 1:], expected[:, expected.shape[1] - found.shape[1] + 1 :])


@pytest.mark.parametrize("wrap", [lambda state: state, lambda state: {"model": state}])
def test_a_swin_of_timm_keeps_its_numbers(
    wrap: Callable[[State], dict[str, Any]], tmp_path: Path
) -> None:
    source: Any = lively(
        SwinTransformer(
            img_size=64, patch_size=2, embed_dim=16, depths=(1, 2, 1, 1), num_heads=(1, 2, 2, 4),
            window_size=4, num_classes=0,
        )
    )  # fmt: skip
    checkpoint = saved(tmp_path / "file", wrap(source.state_dict()), native_px=64)
    assert checkpoint.format == "timm-swin"
    assert isinstance(checkpoint.architecture, SwinArchitecture)
    assert checkpoint.architecture.heads == (1, 2, 2, 4)
    with torch.inference_mode():
        expected = source.forward_features(images((64, 64)))
        (features,) = load_backbone(checkpoint)(images((64, 64)))
    close(features.patches, expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize(("wrap", "eps"), [(esvit, 1e-6), (moby, 1e-5)])
def test_a_swin_in_a_methods_layout_keeps_its_numbers(
    wrap: Callable[[State], dict[str, Any]], eps: float, tmp_path: Path
) -> None:
    stored = np.load(VALUES / "esvit_swin.npz", allow_pickle=False)
    weights = {k[2:]: torch.from_numpy(stored[k]) for k in stored.files if k.startswith("w:")}
    checkpoint = saved(tmp_path / "file", wrap(weights), native_px=64)
    assert checkpoint.architecture.norm_eps == eps
    assert any(key.endswith("relative_position_index") for key in checkpoint.accounting.ignored)
    with torch.inference_mode():
        (features,) = load_backbone(checkpoint)(torch.from_numpy(stored["x_40"]))
    torch.testing.assert_close(
        features.pooled, torch.from_numpy(stored["avg_40"]), atol=2e-4, rtol=1e-3
    )  # the stored network has an epsilon of 1e-6


def test_a_swapped_link_is_recognized_by_its_shapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest(
        name="moby-swin-tiny",
        method="moby",
        arch="swin_tiny_patch4_window7_224",
        license="MIT",
        source="us",
        url="http://127.0.0.1:1/swapped.pth",
    )
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr("vitbench.models.locate.find_manifest", lambda name: manifest)
    stored = tmp_path / "checkpoints" / manifest.name / "swapped.pth"
    stored.parent.mkdir(parents=True)
    torch.save(moby(vit(num_heads=2).state_dict()), stored)
    with pytest.raises(CheckpointError, match=r"a plain Vision Transformer(.|\n)*swapped"):
        resolve(manifest.name)


@pytest.mark.parametrize(
    ("file", "listing", "name", "arch"),
    [
        ("dino", "dino_vit_tiny_multicrop_no_prefix", "dino-training", "vit_tiny_patch16_224"),
        ("selfpatch", "selfpatch_vit_tiny_outdim4096_no_prefix", "selfpatch",
         "vit_tiny_patch16_224"),
        ("esvit", "esvit_deit_tiny_outdim4096_no_prefix", "esvit", "vit_tiny_patch16_224"),
        ("esvit", "esvit_swin_tiny_w7_dense_no_prefix", "esvit", "swin_tiny_patch4_window7_224"),
        ("moby", "moby_swin_tiny_model_key", "moby", "swin_tiny_patch4_window7_224"),
    ],
)  # fmt: skip
def test_every_key_of_an_official_file_is_accounted_for(
    file: str, listing: str, name: str, arch: str
) -> None:
    shapes = json.loads((VALUES / f"statedict_{file}.json").read_text())[listing]
    state = {key: torch.zeros(size) for key, size in shapes.items()}
    side = "model" if file == "moby" else "teacher"
    found = recognize({side: state}, FORMATS, subject=file)
    architecture, _ = infer_architecture(found, Source(name=file, origin="", content={}), arch)
    expected = assemble(architecture).own_state()
    check_complete(found.state, expected, subject=file, where=found.where)
    assert found.format.name == name
    assert len(found.state) + len(found.ignored) == len(state)
