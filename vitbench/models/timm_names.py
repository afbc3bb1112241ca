"""What timm knows by name: the shape of its plain Vision Transformers, and pretrained weights."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from timm import create_model, is_model
from timm.layers.mlp import Mlp
from timm.layers.patch_embed import PatchEmbed
from timm.models import vision_transformer
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from vitbench.errors import CheckpointError, MissingAbility, listed
from vitbench.models.architecture import Architecture
from vitbench.models.facts import Activation, Pooling, Triple
from vitbench.models.timm_backbone import ACTIVATIONS, timm_vit

ATTENTION: Any = vars(vision_transformer)["Attention"]
POOLINGS: dict[str, Pooling] = {"token": "cls_token", "avg": "mean_pool"}  # by timm's names


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Weights that timm fetched, and what it says of them."""

    architecture: Architecture
    state: dict[str, Tensor]
    mean: Triple
    std: Triple
    pooling: Pooling | None


def pretrained_by_timm(name: str) -> Pretrained:
    """Fetch one of timm's pretrained Vision Transformers.

    Args:
        name: `architecture.tag`, or `hf-hub:ID`.

    Raises:
        CheckpointError: If it can't be fetched or is no plain Vision Transformer.
    """
    try:
        vit: Any = create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"timm can't give {name!r}.",
            found=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
            hint="timm.list_models(pretrained=True) lists the names; the network must be reachable",
        ) from error
    config: Any = vit.pretrained_cfg
    return Pretrained(
        architecture=_described(vit, config["architecture"]),
        state=vit.state_dict(),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        pooling=POOLINGS.get(vit.global_pool),
    )


def named_by_timm(arch: str) -> Architecture | None:
    """Return the architecture of one of timm's Vision Transformers, or None if it has none.

    Raises:
        MissingAbility: If it is a Vision Transformer with parts that a plain one lacks.
    """
    if not is_model(arch):
        return None
    with torch.device("meta"):
        vit: Any = create_model(arch, pretrained=False, num_classes=0)
    return _described(vit, arch) if type(vit) is VisionTransformer else None


def _described(vit: Any, arch: str) -> Architecture:
    odd = _odd(vit)
    if odd:
        raise MissingAbility(
            f"{arch}: this network of timm is not a plain Vision Transformer.",
            expected="patches, one learned table of positions, pre-norm blocks, a final norm",
            found=listed(odd),
            hint="a plain one, such as vit_small_patch16_224 or vit_small_patch14_dinov2",
        )
    architecture = _facts(vit, arch)
    ours, theirs = _shapes(timm_vit(architecture)), _shapes(vit)
    if ours != theirs:
        raise MissingAbility(
            f"{arch}: this network of timm has parts that a plain Vision Transformer lacks.",
            found=listed(sorted(f"{key} {shape}" for key, shape in ours ^ theirs)),
            hint="a plain one, such as vit_small_patch16_224 or vit_small_patch14_dinov2",
        )
    return architecture


def _shapes(module: nn.Module) -> set[tuple[str, tuple[int, ...]]]:
    return {(key, tuple(value.shape)) for key, value in module.state_dict().items()}


def _odd(vit: Any) -> list[str]:
    """Name what a network of timm has that its weights' shapes would not show."""
    kind = type(vit)
    if kind is not VisionTransformer:
        return [f"a {kind.__name__}"]
    parts = (
        *((block, Block, "blocks") for block in vit.blocks),
        (vit.patch_embed, PatchEmbed, "patch embedding"),
        (vit.norm_pre, nn.Identity, "norm before the blocks"),
        (vit.fc_norm, nn.Identity, "norm after pooling"),
        (vit.norm, (nn.LayerNorm, nn.Identity), "final norm"),
    )
    odd = _others(parts)
    if odd:
        return odd
    inside = (
        part
        for block in vit.blocks
        for part in (
            (block.attn, ATTENTION, "attention"),
            (block.mlp, Mlp, "MLP"),
            (block.norm1, nn.LayerNorm, "norms"),
            (block.norm2, nn.LayerNorm, "norms"),
        )
    )
    odd = _others(inside)
    if _activation(vit) is None:
        odd.append(f"activation: {type(vit.blocks[0].mlp.act).__name__}")
    if vit.attn_pool is not None or vit.global_pool not in POOLINGS:
        odd.append(f"pooling: {vit.global_pool}")
    return odd


def _others(parts: Iterable[tuple[Any, Any, str]]) -> list[str]:
    """Name the parts whose type is another, each kind once."""
    found = (
        f"{what}: {type(part).__name__}"
        for part, usual, what in parts
        if not (
            isinstance(part, usual) if what.endswith(("norm", "norms")) else type(part) is usual
        )
    )
    return list(dict.fromkeys(found))


def _activation(vit: Any) -> Activation | None:
    """Return our name of the activation, or None if there is none."""
    first: Any = vit.blocks[0]
    act: Any = first.mlp.act
    if isinstance(act, nn.GELU) or type(act).__name__ == "GELU":
        return "gelu_tanh" if getattr(act, "approximate", "none") == "tanh" else "gelu"
    return next((name for name, kind in ACTIVATIONS.items() if isinstance(act, kind)), None)


def _facts(vit: Any, arch: str) -> Architecture:
    block: Any = vit.blocks[0]
    height, width = vit.patch_embed.grid_size
    return Architecture(
        name=arch,
        patch_size=vit.patch_embed.patch_size[0],
        embed_dim=vit.embed_dim,
        depth=len(vit.blocks),
        heads=block.attn.num_heads,
        mlp_dim=block.mlp.fc1.out_features,
        grid=(height, width),
        cls_token=vit.cls_token is not None,
        registers=vit.num_reg_tokens,
        positions=vit.pos_embed is not None,
        prefix_positions=not vit.no_embed_class,
        final_norm=isinstance(vit.norm, nn.LayerNorm),
        layer_scale=not isinstance(block.ls1, nn.Identity),
        qkv_bias=block.attn.qkv.bias is not None,
        norm_eps=block.norm1.eps,
        activation=_activation(vit) or "gelu",
    )
