"""The architectures and the pretrained weights that timm knows by name."""

from dataclasses import dataclass
from typing import Any

import torch
from timm import create_model, get_pretrained_cfg, is_model
from timm.layers.mlp import Mlp
from timm.layers.patch_embed import PatchEmbed
from timm.models import vision_transformer
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from vitbench.errors import CheckpointError
from vitbench.models.architecture import Architecture
from vitbench.models.constants import Activation, Pooling, Triple
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_backbone import ACTIVATIONS, timm_vit
from vitbench.models.timm_info import described

ATTENTION: Any = vars(vision_transformer)["Attention"]
POOLINGS: dict[str, Pooling] = {"token": "cls_token", "avg": "mean_pool"}  # by timm's names


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """Weights that timm fetched, with the facts that it says of them."""

    architecture: Architecture | TimmArchitecture
    state: dict[str, Tensor]
    mean: Triple
    std: Triple
    pooling: Pooling | None


def pretrained_by_timm(name: str) -> Pretrained:
    """Fetch one of timm's pretrained networks.

    Args:
        name: `architecture.tag`, or `hf-hub:ID`.

    Raises:
        CheckpointError: If it can't be fetched.
    """
    try:
        network: Any = create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"timm can't give {name!r}.",
            found=f"{type(error).__name__}: {str(error).splitlines()[0][:200]}",
            hint="timm.list_models(pretrained=True) lists the names; the network must be reachable",
        ) from error
    config: Any = network.pretrained_cfg
    architecture = _architecture(network, config["architecture"])
    plain = isinstance(architecture, Architecture)
    return Pretrained(
        architecture=architecture,
        state=network.state_dict(),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        pooling=POOLINGS.get(network.global_pool) if plain else None,
    )


def named_by_timm(arch: str) -> Architecture | TimmArchitecture | None:
    """Return the architecture of one of timm's networks, or None if timm has no such name.

    A plain Vision Transformer is one of ours.
    """
    if not is_model(arch):
        return None
    with torch.device("meta"):
        network: Any = create_model(arch, pretrained=False, num_classes=0)
    return _architecture(network, arch)


def usual_normalization(arch: str) -> tuple[Triple, Triple] | None:
    """Return mean and standard deviation that timm's own weights of a network want, if it says."""
    config: Any = get_pretrained_cfg(arch)
    return (tuple(config.mean), tuple(config.std)) if config is not None else None


def _architecture(network: Any, arch: str) -> Architecture | TimmArchitecture:
    """Return our Vision Transformer if it has every part of the network, else what builds it."""
    if _is_plain(network):
        ours = _facts(network, arch)
        if _shapes(timm_vit(ours)) == _shapes(network):
            return ours
    return described(network, arch)


def _shapes(module: nn.Module) -> set[tuple[str, tuple[int, ...]]]:
    return {(key, tuple(value.shape)) for key, value in module.state_dict().items()}


def _is_plain(vit: Any) -> bool:
    """Whether a network has no part that its weights' shapes would not show, but ours lacks."""
    return (
        type(vit) is VisionTransformer
        and type(vit.patch_embed) is PatchEmbed
        and isinstance(vit.norm_pre, nn.Identity)
        and isinstance(vit.fc_norm, nn.Identity)
        and isinstance(vit.norm, nn.LayerNorm | nn.Identity)
        and vit.attn_pool is None
        and vit.global_pool in POOLINGS
        and all(map(_is_plain_block, vit.blocks))
        and _activation(vit) is not None
    )


def _is_plain_block(block: Any) -> bool:
    return (
        type(block) is Block
        and type(block.attn) is ATTENTION
        and type(block.mlp) is Mlp
        and isinstance(block.norm1, nn.LayerNorm)
        and isinstance(block.norm2, nn.LayerNorm)
    )


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
