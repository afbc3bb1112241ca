"""A layout is taken where it is at home, or where the user says that it lies."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from vitbench.errors import CheckpointError
from vitbench.models.checkpoint import Checkpoint, resolve
from vitbench.models.timm_backbone import build_backbone

ARCH = "vit_micro_patch8_32"
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> State:
    return build_backbone(ARCH, seed=0).state_dict()


def saved(folder: Path, content: Mapping[str, Any], **flags: Any) -> Checkpoint:
    torch.save(content, folder / "file.pth")
    return resolve(str(folder / "file.pth"), arch=ARCH, **flags)


@pytest.mark.parametrize("key", ["module", "target_encoder", "ema", "my.own.place", "teacher"])
def test_a_plain_state_dict_is_no_methods_wherever_it_lies(
    key: str, weights: State, tmp_path: Path
) -> None:
    content: Any = weights
    for step in reversed(key.split(".")):
        content = {step: content}
    found = saved(tmp_path, content, state_key=key)
    assert (found.format, found.method, found.position_rule) == ("flat", "", "dino")


@pytest.mark.parametrize(
    "key", ["module", "target_encoder", "teacher", "student", "encoder", "model_state_dict", "net"]
)
def test_the_usual_places_are_looked_at(key: str, weights: State, tmp_path: Path) -> None:
    found = saved(tmp_path, {key: weights, "epoch": 3})
    assert (found.method, found.position_rule) == ("", "dino")


def test_esvit_is_known_by_its_heads_at_its_own_place_only(weights: State, tmp_path: Path) -> None:
    esvit = weights | {"head.mlp.0.weight": torch.ones(2), "head_dense.mlp.0.weight": torch.ones(2)}
    found = saved(tmp_path, {"teacher": esvit}, state_key="teacher")
    assert (found.format, found.position_rule) == ("esvit", "esvit")
    classifier = weights | {"head.weight": torch.ones(2, 64)}
    found = saved(tmp_path, {"module": classifier}, state_key="module")
    assert (found.format, found.method, found.position_rule) == ("flat", "", "dino")


@pytest.mark.parametrize("key", ["model", "elsewhere"])
def test_mae_keeps_its_rule_wherever_it_lies(key: str, weights: State, tmp_path: Path) -> None:
    mae = weights | {"mask_token": torch.ones(1), "decoder_embed.weight": torch.ones(2)}
    found = saved(tmp_path, {key: mae}, state_key=key)
    assert (found.format, found.method, found.position_rule) == ("mae", "mae", "size")


def test_the_average_beside_a_model_has_the_models_rule(weights: State, tmp_path: Path) -> None:
    other = {key: value + 1 for key, value in weights.items()}
    content = {"model": weights, "model_ema": other}
    one, two = saved(tmp_path, content), saved(tmp_path, content, state_key="model_ema")
    assert (one.format, two.format) == ("model", "model")
    assert one.position_rule == two.position_rule == "size"
    assert one.sha256 != two.sha256


@pytest.mark.parametrize("prefix", ["backbone.", "backbone.blocks.0."])
def test_dinov2s_teacher_is_dinov2_also_with_its_blocks_in_chunks(
    prefix: str, weights: State, tmp_path: Path
) -> None:
    scaled = weights | {
        f"blocks.{block}.ls{branch}.gamma": torch.ones(64)
        for block in range(4)
        for branch in (1, 2)
    }
    if "blocks" in prefix:
        scaled = {
            re.sub(r"^blocks\.(\d)", lambda m: f"blocks.{int(m[1]) // 2}.{m[1]}", key): value
            for key, value in scaled.items()
        }
    teacher = {f"backbone.{key}": value for key, value in scaled.items()}
    teacher |= {"backbone.mask_token": torch.zeros(1, 64), "dino_head.mlp.0.weight": torch.ones(2)}
    torch.save({"teacher": teacher}, tmp_path / "file.pth")
    found = resolve(str(tmp_path / "file.pth"), heads=2)
    assert (found.format, found.method) == ("dinov2", "dinov2")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda key: f"_orig_mod.{key}",
        lambda key: f"module.module.{key}",
        lambda key: f"module._orig_mod.{key}",
        lambda key: f"_orig_mod.module.{key}",
        lambda key: re.sub(r"^(blocks\.\d)\.", r"\1._orig_mod.", key),
        lambda key: re.sub(r"^(blocks\.\d)\.", r"\1._checkpoint_wrapped_module.", key),
        lambda key: f"_fsdp_wrapped_module.{key}",
        lambda key: f"_forward_module.model.{key}",
    ],
)
def test_what_wrappers_put_into_names_is_taken_out(
    wrap: Any, weights: State, tmp_path: Path
) -> None:
    wrapped = {wrap(key): value for key, value in weights.items()}
    assert saved(tmp_path, {"state_dict": wrapped}).sha256 == saved(tmp_path, weights).sha256


def test_more_weights_in_a_file_are_said_with_the_flag_that_gets_them(
    weights: State, tmp_path: Path
) -> None:
    both = {"model": weights, "model_ema": weights, "optimizer": {"state": {0: {"x": weights}}}}
    said = "\n".join(saved(tmp_path, both).said)
    assert "more weights in the file: model_ema; --state-key model_ema takes those" in said
    said = "\n".join(saved(tmp_path, both, state_key="model_ema").said)
    assert "more weights in the file: model; --state-key model takes those" in said


def test_the_other_side_of_a_training_is_said(weights: State, tmp_path: Path) -> None:
    side = {f"backbone.{key}": value for key, value in weights.items()}
    found = saved(tmp_path, {"student": side, "teacher": side})
    assert any("student; --state-key student takes those" in line for line in found.said)


def test_one_set_of_weights_is_not_talked_about(weights: State, tmp_path: Path) -> None:
    assert not any("more weights" in line for line in saved(tmp_path, {"model": weights}).said)


def test_a_wrong_state_key_is_told_the_right_ones(weights: State, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"at 'modul'(.|\n)*here model or model_ema"):
        saved(tmp_path, {"model": weights, "model_ema": weights}, state_key="modul")


def test_keys_that_are_no_text_and_lists_of_weights_are_an_error(
    weights: State, tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"no known layout(.|\n)*none are known"):
        saved(tmp_path, {0: weights["norm.bias"], "models": [weights, weights]})  # type: ignore[dict-item]
