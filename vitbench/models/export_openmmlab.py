"""Write a ViT under the names of mmdetection's and mmsegmentation's backbones, with a config."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vitbench.errors import CheckpointError
from vitbench.records import atomic

if TYPE_CHECKING:
    from vitbench.models.architecture import Architecture
    from vitbench.models.checkpoint import Checkpoint
    from vitbench.models.state_dict import State

MMSEG_NAMES = (  # ours -> mmsegmentation's, in this order
    (r"^blocks\.", "layers."),
    (r"\.norm([12])\.", r".ln\1."),
    (r"\.mlp\.fc1\.", ".ffn.layers.0.0."),
    (r"\.mlp\.fc2\.", ".ffn.layers.1."),
    (r"\.attn\.qkv\.", ".attn.attn.in_proj_"),
    (r"\.attn\.proj\.", ".attn.attn.out_proj."),
    (r"^patch_embed\.proj\.", "patch_embed.projection."),
    (r"^norm\.", "ln1."),
)


@dataclass(frozen=True, slots=True)
class Toolbox:
    """A toolbox's ViT."""

    about: str
    convert: "Callable[[State, Architecture], State]"
    config: "Callable[[Checkpoint, Architecture, str], str]"


def write_for_openmmlab(spec: str, toolbox: str, path: Path) -> tuple[Path, Path]:
    """Write the backbone of a checkpoint and, beside it, a config that names what weights do not.

    Args:
        spec: Whatever `resolve` knows.
        toolbox: One of `TOOLBOXES`.
        path: The file of the weights; the config's name ends in `.py`.

    Raises:
        CheckpointError: The toolbox's ViT can't hold these weights.

    Source:
        alinlab/SelfPatch (81aef14): detection/backbone/vit_SelfPatch.py; segmentation/tools/
        model_converters/vit2mmseg.py, for mmsegmentation 0.x.
    """
    import torch

    from vitbench.models.aggregated import CA_HEAD
    from vitbench.models.checkpoint import resolve

    checkpoint, target = resolve(spec), TOOLBOXES[toolbox]
    architecture = _plain(checkpoint, target)
    backbone = {k: v for k, v in checkpoint.state.items() if not k.startswith(CA_HEAD)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        torch.save({"state_dict": target.convert(backbone, architecture)}, temporary)
    config = path.with_suffix(".py")
    with atomic(config) as temporary:
        temporary.write_text(target.config(checkpoint, architecture, path.name), encoding="utf-8")
    return path, config


def _plain(checkpoint: "Checkpoint", toolbox: Toolbox) -> "Architecture":
    from vitbench.models.architecture import Architecture

    shape = checkpoint.architecture
    if isinstance(shape, Architecture):
        odd = {
            "registers": shape.registers > 0,
            "layer scale": shape.layer_scale,
            "no positional table": not shape.positions,
            "a class token without a position": shape.cls_token and not shape.prefix_positions,
            "no bias of queries, keys and values": not shape.qkv_bias,
            f"activation {shape.activation}": shape.activation != "gelu",
        }
        found = ", ".join(name for name, there in odd.items() if there)
        if not found:
            return shape
    else:
        found = "windows and stages"
    raise CheckpointError(
        f"{checkpoint.name} does not fit {toolbox.about}.",
        expected="a plain ViT with a learned positional table",
        found=f"{shape.name}: {found}",
        hint="vitbench eval detection and segmentation fine-tune it",
    )


def _to_mmdet(state: "State", architecture: "Architecture") -> "State":
    """Keep our names; SelfPatch's backbone has no class token and no norm at the end."""
    kept = {k: v for k, v in state.items() if k != "cls_token" and not k.startswith("norm.")}
    return {**kept, "pos_embed": state["pos_embed"][:, architecture.prefix_tokens :].contiguous()}


def _to_mmseg(state: "State", architecture: "Architecture") -> "State":
    """Rename; mmsegmentation's table always begins with a class token, here one of zeros."""
    named = {_renamed(key): value for key, value in state.items()}
    if not architecture.cls_token:
        import torch

        nothing = torch.zeros(1, 1, architecture.embed_dim)
        named["cls_token"] = nothing
        named["pos_embed"] = torch.cat([nothing, state["pos_embed"]], dim=1)
    return named


def _renamed(key: str) -> str:
    for pattern, name in MMSEG_NAMES:
        key = re.sub(pattern, name, key)
    return key


def _mmdet_config(checkpoint: "Checkpoint", shape: "Architecture", weights: str) -> str:
    return _config(
        checkpoint,
        weights,
        base="../_base_/models/mask_rcnn_selfpatch_p16.py",
        backbone={
            "type": "SelfPatch_ViT",
            "patch_size": shape.patch_size,
            "embed_dim": shape.embed_dim,
            "depth": shape.depth,
            "num_heads": shape.heads,
            "mlp_ratio": shape.mlp_dim / shape.embed_dim,
            "qkv_bias": True,
            "drop_path_rate": 0.05,
            "out_indices": [shape.depth * part // 12 - 1 for part in (4, 6, 8, 12)],
        },
    )


def _mmseg_config(checkpoint: "Checkpoint", shape: "Architecture", weights: str) -> str:
    height, width = (side * shape.patch_size for side in shape.grid)
    return _config(
        checkpoint,
        weights,
        base="../_base_/models/fpn_r50.py",
        backbone={
            "_delete_": True,
            "type": "VisionTransformer",
            "img_size": (height, width),
            "patch_size": shape.patch_size,
            "embed_dims": shape.embed_dim,
            "num_layers": shape.depth,
            "num_heads": shape.heads,
            "mlp_ratio": shape.mlp_dim // shape.embed_dim,
            "out_indices": [shape.depth * part // 4 - 1 for part in (1, 2, 3, 4)],
            "qkv_bias": True,
            "drop_path_rate": 0.1,
            "with_cls_token": shape.cls_token,
            "norm_cfg": {"type": "LN", "eps": shape.norm_eps},
            "final_norm": False,
            "interpolate_mode": "bicubic",
        },
    )


def _config(
    checkpoint: "Checkpoint", weights: str, *, base: str, backbone: dict[str, object]
) -> str:
    mean, std = ([round(255 * value, 3) for value in each] for each in
                 (checkpoint.mean, checkpoint.std))  # fmt: skip
    lines = [
        f'"""{checkpoint.name}: a stub; put it beside the configs that its base belongs to."""',
        "",
        f"_base_ = [{base!r}]",
        "model = dict(",
        f"    pretrained={weights!r},",
        "    backbone=dict(",
        *(f"        {name}={value!r}," for name, value in backbone.items()),
        "    ),",
        f"    neck=dict(in_channels={[_width(backbone)] * 4}),",
        ")",
        f"img_norm_cfg = dict(mean={mean}, std={std}, to_rgb=True)",
        "",
    ]
    return "\n".join(lines)


def _width(backbone: dict[str, object]) -> object:
    return backbone.get("embed_dim", backbone.get("embed_dims"))


TOOLBOXES = {
    "mmdet": Toolbox(
        "SelfPatch's backbone for mmdetection 2.x (alinlab/SelfPatch 81aef14)",
        _to_mmdet,
        _mmdet_config,
    ),
    "mmseg": Toolbox("VisionTransformer of mmsegmentation 0.x", _to_mmseg, _mmseg_config),
}
