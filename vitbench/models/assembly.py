"""Put a network together from an architecture, and know its weights by our names."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from vitbench.errors import SettingError
from vitbench.models.aggregated import AggregatedBackbone
from vitbench.models.architecture import Architecture, named
from vitbench.models.backbone import Backbone
from vitbench.models.class_attention import ClassAttention
from vitbench.models.facts import IMAGENET_MEAN, IMAGENET_STD, Pooling, PositionRule, Triple
from vitbench.models.initialization import initialize
from vitbench.models.positions import resize_positions
from vitbench.models.state_dict import State
from vitbench.models.swin import SwinBackbone
from vitbench.models.swin_architecture import SwinArchitecture, named_swin
from vitbench.models.timm_backbone import TimmBackbone

AnyArchitecture = Architecture | SwinArchitecture
CA_HEAD = "ca_head."  # prefix of class attention among our names


def find_architecture(arch: str) -> AnyArchitecture:
    """Return the architecture of a name, without weights; see `named` and `named_swin`.

    Raises:
        UnknownName: If nobody knows it.
    """
    return named_swin(arch) if arch.startswith("swin_") else named(arch)


def build(
    arch: str | AnyArchitecture,
    *,
    seed: int,
    position_rule: PositionRule = "dino",
    drop_path: float = 0.0,
) -> Backbone:
    """Build a backbone with random weights, on the CPU.

    Args:
        arch: Name or architecture.
        seed: Of the weights.
        position_rule: How the positional table is resized, if there is one.
        drop_path: Stochastic depth of the last block.
    """
    architecture = find_architecture(arch) if isinstance(arch, str) else arch
    backbone = assemble(architecture, position_rule=position_rule, drop_path=drop_path)
    initialize(backbone, torch.Generator().manual_seed(seed))
    return backbone


def assemble(
    architecture: AnyArchitecture,
    *,
    pooled_from: Pooling | None = None,
    mean: Triple = IMAGENET_MEAN,
    std: Triple = IMAGENET_STD,
    position_rule: PositionRule = "dino",
    drop_path: float = 0.0,
) -> Backbone:
    """Build a network on the meta device, to be filled with weights.

    Args:
        architecture: What to build.
        pooled_from: Image-level feature; left out: class attention if the architecture has it,
            else the class token, else the mean patch.
        mean: Input normalization.
        std: Input normalization.
        position_rule: How the positional table is resized, if there is one.
        drop_path: Stochastic depth of the last block.
    """
    pooled_from = pooled_from or default_pooling(architecture)
    trunk: Backbone
    if isinstance(architecture, SwinArchitecture):
        trunk = SwinBackbone(architecture, mean=mean, std=std, drop_path=drop_path)
    else:
        trunk = TimmBackbone(
            architecture,
            pooled_from="mean_pool" if pooled_from == "mean_pool" else None,
            mean=mean,
            std=std,
            position_rule=position_rule,
            drop_path=drop_path,
        )
    if pooled_from != "class_attention":
        return trunk
    with torch.device("meta"):
        head = ClassAttention(
            trunk.info.embed_dim, trunk.info.heads, depth=architecture.class_attention
        )
    return AggregatedBackbone(trunk, head)


def default_pooling(architecture: AnyArchitecture) -> Pooling:
    """Return the image-level feature that the method itself would use."""
    if architecture.class_attention:
        return "class_attention"
    if isinstance(architecture, Architecture) and architecture.cls_token:
        return "cls_token"
    return "mean_pool"


def poolings(architecture: AnyArchitecture) -> tuple[Pooling, ...]:
    """Return every image-level feature that an architecture offers, the default first."""
    offered: tuple[Pooling, ...] = (default_pooling(architecture),)
    return offered if "mean_pool" in offered else (*offered, "mean_pool")


def our_state(backbone: Backbone) -> State:
    """Return the weights by our names: timm's, a Swin's official ones, `ca_head.*` on top.

    Raises:
        TypeError: For the backbone of a plug-in, whose names are its own affair.
    """
    if isinstance(backbone, AggregatedBackbone):
        head = backbone.ca_head.state_dict(prefix=CA_HEAD)
        return {**our_state(backbone.trunk), **head}
    if isinstance(backbone, TimmBackbone | SwinBackbone):
        return backbone.state_dict()
    raise TypeError(f"no names are defined for a {type(backbone).__name__}")


def architecture_of(backbone: Backbone) -> AnyArchitecture:
    """Return what a backbone was built from.

    Raises:
        TypeError: For the backbone of a plug-in.
    """
    trunk = backbone.trunk if isinstance(backbone, AggregatedBackbone) else backbone
    if not isinstance(trunk, TimmBackbone | SwinBackbone):
        raise TypeError(f"no architecture is defined for a {type(trunk).__name__}")
    if isinstance(backbone, AggregatedBackbone):
        return replace(trunk.architecture, class_attention=len(backbone.ca_head.cls_blocks))
    return trunk.architecture


def dense_copy(
    backbone: Backbone, *, rule: PositionRule, image_px: int | None = None, heads: int = 0
) -> Backbone:
    """Return a copy to be fine-tuned on a dense task: its trunk learns.

    The positional table is resized once, to the grid of a square image, and then learned there;
    images of other sizes resize it by the same rule.

    Args:
        backbone: What to copy; class attention is left out, it makes no patch tokens.
        rule: How the table is resized, now and later.
        image_px: Side of the square image, a multiple of the patch; None: the table keeps its grid.
        heads: Of a ViT's attention, in the place of its own; 0: its own.

    Raises:
        SettingError: The width is no multiple of the heads, or the backbone is no ViT of ours.

    Source:
        mmsegmentation 0.x, VisionTransformer, with `img_size` of the crop.
    """
    trunk = deepcopy(backbone.trunk if isinstance(backbone, AggregatedBackbone) else backbone)
    trunk.requires_grad_(True)
    if heads:
        _change_heads(trunk, heads)
    if not isinstance(trunk, TimmBackbone) or trunk.pos_embed is None:
        return trunk
    trunk.info = replace(trunk.info, position_rule=rule)
    if image_px is None:
        return trunk
    side = image_px // trunk.info.patch_size
    count = trunk.info.prefix_tokens if trunk.architecture.prefix_positions else 0
    with torch.no_grad():
        prefix, patches = trunk.pos_embed[:, :count], trunk.pos_embed[:, count:]
        resized = resize_positions(patches, trunk.info.grid, (side, side), rule, square=True)
        trunk.pos_embed = nn.Parameter(torch.cat([prefix, resized], dim=1))
    trunk.info = replace(trunk.info, grid=(side, side))
    trunk.architecture = replace(trunk.architecture, grid=(side, side))
    return trunk


def _change_heads(trunk: Backbone, heads: int) -> None:
    if not isinstance(trunk, TimmBackbone) or trunk.info.embed_dim % heads:
        raise SettingError(
            [f"{trunk.info.arch}, {trunk.info.embed_dim} wide, can't have {heads} heads"]
        )
    blocks: Any = trunk.blocks
    for block in blocks:
        block.attn.num_heads, block.attn.head_dim = heads, trunk.info.embed_dim // heads
        block.attn.scale = block.attn.head_dim**-0.5
    trunk.info = replace(trunk.info, heads=heads)
    trunk.architecture = replace(trunk.architecture, heads=heads)
