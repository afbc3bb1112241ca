"""Put a network together from an architecture."""

import torch

from vitbench.errors import UnknownName
from vitbench.models.aggregated import AggregatedBackbone
from vitbench.models.architecture import Architecture, parse_architecture
from vitbench.models.architecture_names import own_names, timm_names
from vitbench.models.backbone import AnyArchitecture, Backbone
from vitbench.models.class_attention import ClassAttention
from vitbench.models.constants import IMAGENET_MEAN, IMAGENET_STD, Pooling, PositionRule, Triple
from vitbench.models.swin import SwinBackbone
from vitbench.models.swin_architecture import SwinArchitecture, parse_swin
from vitbench.models.timm_architecture import TimmArchitecture
from vitbench.models.timm_backbone import TimmBackbone
from vitbench.models.timm_names import named_by_timm
from vitbench.models.timm_network import TimmNetwork


def find_architecture(arch: str) -> AnyArchitecture:
    """Return the architecture of a name, without weights.

    Args:
        arch: A name of ours, see `parse_architecture` and `parse_swin`, or the name of any
            network in timm.

    Raises:
        UnknownName: If nobody knows it.
    """
    for known in (parse_architecture, parse_swin, named_by_timm):
        found: AnyArchitecture | None = known(arch)
        if found is not None:
            return found
    raise UnknownName(
        "architecture",
        arch,
        timm_names(),
        first=own_names(),
        hint="vitbench list architectures PATTERN; of ours, any other patch or image size",
    )


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
    backbone.reset_weights(seed)
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
            else the class token, else the mean patch; of timm's networks, what they pool.
        mean: Input normalization.
        std: Input normalization.
        position_rule: How the positional table is resized, if there is one.
        drop_path: Stochastic depth of the last block.
    """
    pooled_from = pooled_from or default_pooling(architecture)
    trunk: Backbone
    if isinstance(architecture, SwinArchitecture):
        trunk = SwinBackbone(architecture, mean=mean, std=std, drop_path=drop_path)
    elif isinstance(architecture, TimmArchitecture):
        trunk = TimmNetwork(
            architecture,
            pooled_from="own" if pooled_from == "own" else "mean_pool",
            mean=mean,
            std=std,
            drop_path=drop_path,
        )
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
    if isinstance(architecture, TimmArchitecture):
        return "own"
    if isinstance(architecture, Architecture) and architecture.cls_token:
        return "cls_token"
    return "mean_pool"


def poolings(architecture: AnyArchitecture) -> tuple[Pooling, ...]:
    """Return every image-level feature that an architecture offers, the default first."""
    offered: tuple[Pooling, ...] = (default_pooling(architecture),)
    return offered if "mean_pool" in offered else (*offered, "mean_pool")
