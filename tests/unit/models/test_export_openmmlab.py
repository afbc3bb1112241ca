"""Weights for other toolboxes: their names, nothing lost, and a config that is Python."""

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from vitbench.cli.main import main
from vitbench.errors import CheckpointError
from vitbench.models.architecture import parse_architecture
from vitbench.models.checkpoint import load_backbone, resolve
from vitbench.models.export import save_backbone
from vitbench.models.export_openmmlab import TOOLBOXES, write_for_openmmlab
from vitbench.models.factory import build

MINI = "random:vit_mini_patch8_64"
CPU = torch.device("cpu")


def written(toolbox: str, folder: Path, spec: str = MINI) -> tuple[dict[str, Tensor], Any]:
    weights, config = write_for_openmmlab(spec, toolbox, folder / f"w-{toolbox}.pth")
    state: dict[str, Tensor] = torch.load(weights, weights_only=True)["state_dict"]
    return state, runpy.run_path(str(config))["model"]["backbone"]


def test_mmsegmentation_gets_its_names_and_every_weight(tmp_path: Path) -> None:
    state, config = written("mmseg", tmp_path)
    ours = resolve(MINI).state
    assert len(state) == len(ours)
    block = {name.removeprefix("layers.3.") for name in state if name.startswith("layers.3.")}
    assert block == {
        f"{part}.{kind}"
        for part in ("ln1", "ln2", "attn.attn.out_proj", "ffn.layers.0.0", "ffn.layers.1")
        for kind in ("weight", "bias")
    } | {"attn.attn.in_proj_weight", "attn.attn.in_proj_bias"}
    rest = {name for name in state if not name.startswith("layers.")}
    assert rest == {"cls_token", "pos_embed", "ln1.weight", "ln1.bias",
                    "patch_embed.projection.weight", "patch_embed.projection.bias"}  # fmt: skip
    assert (config["num_heads"], config["num_layers"], config["with_cls_token"]) == (4, 6, True)
    assert config["img_size"] == (64, 64)


def test_attention_is_the_same_under_pytorchs_own_names(tmp_path: Path) -> None:
    state, config = written("mmseg", tmp_path)
    backbone: Any = load_backbone(resolve(MINI), device=CPU)
    theirs = nn.MultiheadAttention(config["embed_dims"], config["num_heads"], batch_first=True)
    front = "layers.2.attn.attn."
    theirs.load_state_dict(
        {name.removeprefix(front): value for name, value in state.items() if front in name}
    )
    tokens = torch.randn(2, 9, config["embed_dims"], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(
            theirs(tokens, tokens, tokens)[0], backbone.blocks[2].attn(tokens)
        )


def test_mmdetection_gets_no_class_token_and_the_right_heads(tmp_path: Path) -> None:
    state, config = written("mmdet", tmp_path)
    ours = resolve(MINI).state
    assert set(ours) - set(state) == {"cls_token", "norm.weight", "norm.bias"}
    assert torch.equal(state["pos_embed"], ours["pos_embed"][:, 1:])
    assert config["num_heads"] == 4
    assert config["out_indices"] == [1, 2, 3, 5]


def test_a_trunk_without_class_token_gets_one_of_zeros_that_is_not_used(tmp_path: Path) -> None:
    spec = without_class_token(tmp_path)
    state, config = written("mmseg", tmp_path, spec)
    assert not config["with_cls_token"]
    assert state["pos_embed"].shape == (1, 65, 128)
    assert not state["pos_embed"][:, 0].any()


def without_class_token(folder: Path) -> str:
    shape = parse_architecture("vit_mini_patch8_64")
    assert shape is not None
    save_backbone(
        build(replace(shape, cls_token=False), seed=0),
        folder / "backbone.safetensors",
        method="selfpatch",
    )
    return str(folder / "backbone.safetensors")


@pytest.mark.parametrize("toolbox", list(TOOLBOXES))
def test_what_a_toolbox_can_not_hold_is_refused(toolbox: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit"):
        written(toolbox, tmp_path, "random:swin_mini_patch4_window7_224")


def test_the_command_prints_both_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "mmdet", MINI, "--out", str(tmp_path / "a.pth")]) == 0
    printed = capsys.readouterr().out.split()
    assert [Path(name).name for name in printed] == ["a.pth", "a.py"]
    assert all(Path(name).is_file() for name in printed)
