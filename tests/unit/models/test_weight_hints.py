"""Files of training libraries: the error names the flag that loads them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vitbench.errors import CheckpointError
from vitbench.models.checkpoint import resolve
from vitbench.models.factory import build
from vitbench.models.weight_places import network_prefixes

ARCH = "vit_tiny_patch16_224"


def saved(path: Path, *prefixes: str, **more: Tensor) -> str:
    weights = build(ARCH, seed=0).own_state()
    state = {f"{prefix}{key}": value for prefix in prefixes for key, value in weights.items()}
    torch.save({"epoch": 9, "state_dict": {**state, **more}}, path)
    return str(path)


def refusal(spec: str) -> str:
    with pytest.raises(CheckpointError) as caught:
        resolve(spec)
    return caught.value.hint


def test_prefixes_are_what_stands_before_the_first_layer() -> None:
    keys = ("a.patch_embed.proj.weight", "b.c.conv_proj.weight", "patch_embed.proj.weight", "x.y")
    assert network_prefixes(keys) == ("a.", "b.c.")


def test_two_networks_behind_prefixes_are_named(tmp_path: Path) -> None:
    spec = saved(tmp_path / "x.ckpt", "student_backbone.vit.", "teacher_backbone.vit.")
    assert refusal(spec) == "--prefix student_backbone.vit. or --prefix teacher_backbone.vit."
    found = resolve(f"{spec}@prefix=teacher_backbone.vit.,arch={ARCH}")
    assert found.architecture.name == ARCH


def test_a_second_network_beside_the_one_that_was_found_is_named(tmp_path: Path) -> None:
    spec = saved(tmp_path / "x.ckpt", "backbone.", "momentum_backbone.")
    assert "--prefix momentum_backbone. takes another" in refusal(spec)
    assert resolve(f"{spec}@prefix=backbone.,arch={ARCH}").architecture.name == ARCH


def test_the_likely_architecture_is_named_where_heads_are_not_known(tmp_path: Path) -> None:
    assert f"--arch {ARCH}, if its 3 heads are right" in refusal(saved(tmp_path / "x.pth", ""))


def test_timms_own_normalization_is_told_where_nobody_said_any(tmp_path: Path) -> None:
    name, path = "eva02_tiny_patch14_224", tmp_path / "eva.pth"
    torch.save(build(name, seed=0).own_state(), path)
    wanted = "timm's own weights of this network want --mean 0.48145466 0.4578275 0.40821073"
    assert any(wanted in text for text in resolve(str(path), arch=name).said)
    assert not any(wanted in text for text in resolve(f"random:{name}").said)
