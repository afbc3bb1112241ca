import os
import pickle
import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vitbench.errors import (
    CheckpointError,
    SettingError,
    StateMismatch,
    UnknownName,
    UnsafeCheckpoint,
)
from vitbench.models.architecture import Architecture
from vitbench.models.backbone import Aggregates, Features
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.factory import assemble
from vitbench.models.initialization import initialize
from vitbench.models.manifest import Manifest
from vitbench.models.timm_backbone import TimmBackbone, build_backbone

ARCH = "vit_mini_patch16_64"  # D 128, 6 blocks, 4 heads
SHAPE = Architecture(
    name="tiny", patch_size=8, embed_dim=24, depth=2, heads=3, mlp_dim=48, grid=(4, 4)
)


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return build_backbone(ARCH, seed=0).state_dict()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))


def pooled(spec: str | Path, images: Tensor, **flags: Any) -> Tensor:
    backbone = load_backbone(resolve(str(spec), **flags))
    with torch.inference_mode():
        features: Features = backbone(images)[0]
    return features.pooled


class Opener:
    """Pickled, it would run a command when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/vitbench-was-run",)


def test_a_flat_file_with_its_architecture_named_loads(
    tmp_path: Path, weights: dict[str, Tensor], images: Tensor
) -> None:
    path = tmp_path / "flat.pth"
    torch.save(weights | {"head.weight": torch.zeros(5, 128), "head.bias": torch.zeros(5)}, path)
    checkpoint = resolve(str(path), arch=ARCH)
    assert checkpoint.name == "flat"
    assert checkpoint.format == "flat"
    assert checkpoint.accounting.ignored == ("head.weight", "head.bias")
    assert checkpoint.accounting.used == len(weights)
    assert checkpoint.normalization_from == "ImageNet default"
    with torch.inference_mode():
        expected = build_backbone(ARCH, seed=0).eval()(images)[0].pooled
    assert torch.equal(pooled(path, images, arch=ARCH), expected)


def test_what_was_inferred_is_said(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, tmp_path / "flat.pth")
    said = "\n".join(resolve(str(tmp_path / "flat.pth"), arch=ARCH).said)
    assert "patch 16, D 128, 6 blocks, grid 4 x 4, a class token, a final norm" in said
    assert f"4 heads, from --arch {ARCH}" in said
    assert "rule 'dino', from the format" in said
    assert "from ImageNet default" in said


@pytest.mark.parametrize("side", ["teacher", "student"])
def test_a_dino_training_file_says_its_own_heads(tmp_path: Path, side: str) -> None:
    backbone = build_backbone("vit_tiny_patch16_64", seed=0)
    prefix = {"teacher": "backbone.", "student": "module.backbone."}
    document: dict[str, Any] = {
        name: {prefix[name] + key: value for key, value in backbone.state_dict().items()}
        | {prefix[name].replace("backbone", "head") + "mlp.0.weight": torch.zeros(3)}
        for name in prefix
    }
    document |= {"args": Namespace(arch="vit_tiny", patch_size=16), "epoch": 3, "optimizer": {}}
    torch.save(document, tmp_path / "checkpoint.pth")
    checkpoint = resolve(str(tmp_path / "checkpoint.pth"), state_key=side)
    assert checkpoint.architecture.heads == 3
    assert checkpoint.method == "dino"
    assert len(checkpoint.accounting.renamed) == len(backbone.state_dict())
    assert resolve(str(tmp_path / "checkpoint.pth")).sha256 == checkpoint.sha256


@pytest.mark.parametrize(
    ("key", "prefix", "form"),
    [("model", "", "model"), ("state_dict", "model.backbone.", "state-dict"),
     ("state_dict", "module.", "state-dict"), ("", "module.", "flat")],
)  # fmt: skip
def test_the_same_weights_in_another_wrapper_are_the_same_checkpoint(
    tmp_path: Path, weights: dict[str, Tensor], key: str, prefix: str, form: str
) -> None:
    inner = {prefix + name: value for name, value in weights.items()}
    torch.save({key: inner, "epoch": 1} if key else inner, tmp_path / "wrapped.ckpt")
    torch.save(weights, tmp_path / "flat.pth")
    wrapped = resolve(str(tmp_path / "wrapped.ckpt"), arch=ARCH)
    flat = resolve(str(tmp_path / "flat.pth"), arch=ARCH)
    assert wrapped.format == form
    assert wrapped.sha256 == flat.sha256
    assert wrapped.file_sha256 != flat.file_sha256


def test_our_own_file_says_everything(tmp_path: Path, images: Tensor) -> None:
    backbone = build_backbone(SHAPE, seed=2, mean=(0.5, 0.5, 0.5), position_rule="size").eval()
    save_backbone(backbone, tmp_path / "run" / "backbone.safetensors", method="dino")
    checkpoint = resolve(str(tmp_path / "run"))
    assert (checkpoint.name, checkpoint.method) == ("run", "dino")
    assert checkpoint.architecture == SHAPE
    assert checkpoint.position_rule == "size"
    assert checkpoint.mean == (0.5, 0.5, 0.5)
    assert checkpoint.normalization_from == "file"
    with torch.inference_mode():
        assert torch.equal(pooled(tmp_path / "run", images), backbone(images)[0].pooled)


def test_class_attention_travels_with_its_trunk(tmp_path: Path) -> None:
    shape = replace(SHAPE, cls_token=False, final_norm=False, class_attention=2)
    backbone = assemble(shape)
    initialize(backbone, torch.Generator().manual_seed(0))
    save_backbone(backbone, tmp_path / "backbone.safetensors", method="selfpatch")
    checkpoint = resolve(str(tmp_path))
    assert checkpoint.pooled_from == "class_attention"
    assert isinstance(load_backbone(checkpoint), Aggregates)
    mean = resolve(str(tmp_path), pooling="mean_pool")
    assert isinstance(load_backbone(mean), TimmBackbone)
    assert mean.sha256 != checkpoint.sha256
    assert any(key.startswith("ca_head.") for key in mean.accounting.ignored)


def test_a_pooling_that_the_weights_lack_is_an_error() -> None:
    with pytest.raises(CheckpointError, match="no 'class_attention'"):
        resolve(f"random:{ARCH}", pooling="class_attention")


def test_random_weights_are_a_checkpoint_of_their_seed() -> None:
    one, two = resolve(f"random:{ARCH}"), resolve(f"random:{ARCH}?seed=1")
    assert one.name == f"random-{ARCH}-seed0"
    assert one.sha256 == resolve(f"random:{ARCH}?seed=0").sha256
    assert one.sha256 != two.sha256


def test_random_with_another_option_is_an_error() -> None:
    with pytest.raises(SettingError, match="unknown options"):
        resolve(f"random:{ARCH}?sed=1")


def test_flags_overrule_the_file(tmp_path: Path) -> None:
    save_backbone(build_backbone(SHAPE, seed=0), tmp_path / "backbone.safetensors", method="")
    found = resolve(str(tmp_path), mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0), position_rule="timm")
    assert (found.mean, found.position_rule) == ((0.1, 0.2, 0.3), "timm")
    assert found.normalization_from == "flag"


def test_two_backbones_of_a_checkpoint_share_no_weights(images: Tensor) -> None:
    checkpoint = resolve(f"random:{ARCH}")
    before = checkpoint.state["cls_token"].clone()
    backbone = load_backbone(checkpoint)
    with torch.no_grad():
        backbone.get_parameter("cls_token").add_(1.0)
    assert torch.equal(checkpoint.state["cls_token"], before)


def test_half_precision_weights_are_computed_in_single(tmp_path: Path) -> None:
    half = {key: value.half() for key, value in build_backbone(ARCH, seed=0).state_dict().items()}
    torch.save(half, tmp_path / "half.pth")
    backbone = load_backbone(resolve(str(tmp_path / "half.pth"), arch=ARCH))
    assert backbone.get_parameter("pos_embed").dtype == torch.float32


def test_no_such_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such file"):
        resolve(str(tmp_path / "missing.pth"))


def test_neither_a_path_nor_a_name_is_an_error() -> None:
    with pytest.raises(UnknownName, match="no checkpoint 'dino-vits61'"):
        resolve("dino-vits61")


def test_a_folder_without_a_checkpoint_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no checkpoint"):
        resolve(str(tmp_path))


def test_a_text_file_is_not_taken_for_weights(tmp_path: Path) -> None:
    (tmp_path / "page.pth").write_text("<!doctype html>\n<title>Sign in</title>")
    with pytest.raises(CheckpointError, match=r"not a file of weights(.|\n)*doctype"):
        resolve(str(tmp_path / "page.pth"))


def test_an_empty_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty.pth").touch()
    with pytest.raises(CheckpointError, match="an empty file"):
        resolve(str(tmp_path / "empty.pth"))


@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_truncated_file_is_said_to_be_damaged(tmp_path: Path, form: str) -> None:
    path = tmp_path / "whole"
    if form == "safetensors":
        save_backbone(build_backbone(SHAPE, seed=0), path, method="")
    else:
        state = build_backbone(SHAPE, seed=0).state_dict()
        torch.save(state, path, _use_new_zipfile_serialization=form == "zip")
    whole = path.read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(CheckpointError, match="damaged or not complete"):
        resolve(str(tmp_path / "cut.pth"), arch=ARCH)


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_a_file_that_would_run_code_is_refused_unread(tmp_path: Path, form: str) -> None:
    path, marker = tmp_path / "evil.pth", Path("/tmp/vitbench-was-run")
    marker.unlink(missing_ok=True)
    if form == "pickle":
        path.write_bytes(pickle.dumps({"state_dict": Opener()}, protocol=2))
    else:
        torch.save({"model": Opener()}, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(UnsafeCheckpoint, match=r"would run code(.|\n)*system"):
        resolve(str(path))
    assert not marker.exists()


def test_all_keys_wrong_lists_what_the_file_holds(tmp_path: Path) -> None:
    torch.save({f"layer{i}.conv.weight": torch.zeros(3) for i in range(30)}, tmp_path / "r.pth")
    with pytest.raises(CheckpointError, match="no known layout") as raised:
        resolve(str(tmp_path / "r.pth"), arch=ARCH)
    assert "layer9.conv.weight, … (20 more)" in str(raised.value)


def test_half_the_keys_wrong_lists_at_most_ten_of_each(
    tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    broken = {
        re.sub(r"^(blocks\.[135])\.(attn|mlp)", r"\1.other_\2", key): value
        for key, value in weights.items()
    }
    wrong = sum(key not in weights for key in broken)
    torch.save(broken, tmp_path / "half.pth")
    with pytest.raises(StateMismatch) as raised:
        resolve(str(tmp_path / "half.pth"), arch=ARCH)
    message = str(raised.value)
    assert f"half: {wrong} keys of the file were not used, {wrong} keys of the model were not" in (
        message
    )
    assert f"({wrong - 10} more)" in message
    assert "other_attn" in message


def test_a_parameter_that_is_missing_is_an_error(
    tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    torch.save({k: v for k, v in weights.items() if k != "blocks.2.mlp.fc2.bias"}, tmp_path / "m")
    with pytest.raises(StateMismatch, match=r"1 keys of the model(.|\n)*blocks.2.mlp.fc2.bias"):
        resolve(str(tmp_path / "m"), arch=ARCH)


def test_heads_are_never_guessed(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    torch.save(weights, tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match=r"attention heads is not known(.|\n)*--arch"):
        resolve(str(tmp_path / "bare.pth"))


def test_an_architecture_that_the_weights_contradict_is_an_error(
    tmp_path: Path, weights: dict[str, Tensor]
) -> None:
    torch.save(weights, tmp_path / "bare.pth")
    with pytest.raises(CheckpointError, match=r"embed_dim 384(.|\n)*embed_dim 128"):
        resolve(str(tmp_path / "bare.pth"), arch="vit_small_patch16_224")


def test_two_sides_of_one_name_need_a_state_key(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    both = {f"module.{k}": v for k, v in weights.items()} | {
        f"model.{k}": v for k, v in weights.items()
    }
    torch.save({"state_dict": both}, tmp_path / "both.pth")
    with pytest.raises(StateMismatch, match="two keys of the file"):
        resolve(str(tmp_path / "both.pth"), arch=ARCH)


def test_a_manifest_downloads_loads_and_fills_in_the_facts(
    tmp_path: Path, weights: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(weights, tmp_path / "weights.pth")
    manifest = Manifest(
        name="mine",
        method="dino",
        arch=ARCH,
        heads=2,
        license="MIT",
        source="us",
        url="http://127.0.0.1:1/weights.pth",
        mean=(0.5, 0.5, 0.5),
    )
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("vitbench.models.locate.find_manifest", lambda name: manifest)
    stored = tmp_path / "cache" / "checkpoints" / "mine" / "weights.pth"
    stored.parent.mkdir(parents=True)
    (tmp_path / "weights.pth").rename(stored)
    checkpoint = resolve("mine")
    assert (checkpoint.name, checkpoint.method) == ("mine", "dino")
    assert (checkpoint.architecture.heads, checkpoint.mean) == (2, (0.5, 0.5, 0.5))
    assert checkpoint.normalization_from == "manifest"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"mean": (127.0, 127.0, 127.0)}, "mean"),
        ({"mean": (0.5, 0.5, float("nan"))}, "mean"),
        ({"mean": (-0.1, 0.5, 0.5)}, "mean"),
        ({"std": (0.0, 0.5, 0.5)}, "std"),
        ({"std": (58.4, 57.1, 57.4)}, "std"),
        ({"std": (-0.2, 0.5, 0.5)}, "std"),
    ],
)
def test_a_normalization_of_another_range_is_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=rf"{message} (.|\n)*divided by 255"):
        resolve(f"random:{ARCH}", **flags)
