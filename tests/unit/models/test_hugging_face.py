"""What transformers and timm write beside weights is read, and held to its ranges."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from vitbench.errors import CheckpointError, VitbenchError
from vitbench.models import hugging_face
from vitbench.models.checkpoint import load_backbone, resolve

PATCHES = "vit_tiny_patch16_224"
CONFIG: dict[str, Any] = {
    "architecture": PATCHES,
    "num_classes": 0,
    "num_features": 192,
    "global_pool": "token",
    "pretrained_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.5], "num_classes": 0},
}


@pytest.fixture(scope="module")
def network() -> Any:
    torch.manual_seed(0)
    return timm.create_model(PATCHES, num_classes=0).eval()


def clone(folder: Path, network: Any, config: dict[str, Any]) -> str:
    """Write what a clone of timm's repository on the Hub holds."""
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return str(folder)


def test_a_clone_of_a_timm_repository_says_all_that_is_needed(network: Any, tmp_path: Path) -> None:
    found = resolve(clone(tmp_path, network, CONFIG))
    assert (found.mean, found.std) == ((0.5, 0.5, 0.5), (0.5, 0.25, 0.5))
    assert (found.position_rule, found.pooled_from) == ("timm", "cls_token")
    assert found.architecture.heads == 3
    assert found.normalization_from == "file"


def test_its_weights_named_directly_are_the_same_checkpoint(network: Any, tmp_path: Path) -> None:
    folder = clone(tmp_path, network, CONFIG)
    one, two = resolve(folder), resolve(f"{folder}/model.safetensors")
    assert (one.architecture, one.mean, one.sha256) == (two.architecture, two.mean, two.sha256)
    assert one.name == two.name == tmp_path.name


def test_pooling_by_the_mean_is_what_its_config_says(network: Any, tmp_path: Path) -> None:
    found = resolve(clone(tmp_path, network, {**CONFIG, "global_pool": "avg"}))
    assert found.pooled_from == "mean_pool"
    assert resolve(str(tmp_path), pooling="cls_token").pooled_from == "cls_token"


@pytest.mark.parametrize("act", ["gelu", "gelu_tanh", "quick_gelu"])
def test_the_activation_is_read_from_timms_arguments(act: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    arguments = {"act_layer": act, "img_size": 32, "num_heads": 6}
    other = timm.create_model(PATCHES, num_classes=0, **arguments).eval()  # type: ignore[arg-type]
    found = resolve(clone(tmp_path, other, {**CONFIG, "model_args": arguments}))
    assert (found.architecture.activation, found.architecture.heads) == (act, 6)  # type: ignore[union-attr]
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        theirs = other.forward_features(pixels)[:, 0]  # type: ignore[operator]
        torch.testing.assert_close(load_backbone(found)(pixels)[0].pooled, theirs,
                                   atol=1e-5, rtol=1e-5)  # fmt: skip


def test_a_swin_in_a_clone_has_timms_epsilon_and_its_names_size(tmp_path: Path) -> None:
    name = "swin_tiny_patch4_window7_224"
    torch.manual_seed(0)
    other = timm.create_model(name, num_classes=0).eval()
    found = resolve(clone(tmp_path, other, {**CONFIG, "architecture": name}))
    assert (found.architecture.norm_eps, found.architecture.image_px) == (1e-5, 224)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pretrained_cfg": {"mean": [127, 127, 127]}}, "mean"),
        ({"pretrained_cfg": {"std": [0, 1, 1]}}, "std"),
        ({"pretrained_cfg": {"std": [float("nan")] * 3}}, "std"),
        ({"pretrained_cfg": {"mean": 0.5}}, "mean"),
        ({"model_args": {"num_heads": -3}}, "heads"),
        ({"model_args": {"act_layer": "silu"}}, "silu"),
        ({"model_args": {"norm_layer": "rmsnorm"}}, "rmsnorm"),
        ({"architecture": "vit_small_patch16_18x2_224"}, r"attns\.0"),
        ({"architecture": "vit_tinny"}, "vit_tinny"),
        ({"architecture": 7}, "arch"),
    ],
)
def test_a_config_out_of_range_is_refused_by_its_field(
    change: dict[str, Any], message: str, network: Any, tmp_path: Path
) -> None:
    folder = clone(tmp_path, network, {**CONFIG, **change})
    with pytest.raises(VitbenchError, match=message):
        resolve(folder)


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_attention_heads", -3), ("num_attention_heads", "many"), ("layer_norm_eps", 0),
     ("layer_norm_eps", [1]), ("hidden_act", "silu")],
)  # fmt: skip
def test_a_config_of_transformers_out_of_range_is_refused(
    field: str, value: Any, tmp_path: Path
) -> None:
    state: dict[str, Tensor] = {
        "embeddings.patch_embeddings.projection.weight": torch.ones(4, 3, 2, 2)
    }
    save_file(state, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "vit", field: value}))
    with pytest.raises(CheckpointError, match=r"config.json"):
        resolve(str(tmp_path))


def test_without_a_network_one_error_comes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(hugging_face, "ENDPOINT", "http://127.0.0.1:9")
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=r"can't be fetched(.|\n)*network must be reachable"):
        resolve("hf-hub:nobody/nothing")
    assert time.monotonic() - start < 10
    assert "Retrying" not in capfd.readouterr().err
