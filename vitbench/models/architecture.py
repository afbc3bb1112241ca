"""Shape of a Vision Transformer: named by the user, or inferred from a state dict."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vitbench.errors import StateMismatch, listed
from vitbench.models.constants import VIT_SIZES, Activation
from vitbench.models.families import family_of_keys, hint_for
from vitbench.models.limits import Blocks, Epsilon, Heads, Size, Tokens

GRAMMAR = re.compile(r"vit_(?P<size>\w+)_patch(?P<patch>\d+)_(?P<image>\d+)")
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """Everything needed to build a Vision Transformer, but its weights."""

    name: str
    patch_size: Size  # pixels
    embed_dim: Size  # D
    depth: Blocks
    heads: Heads  # can't be read from weights: the name, a manifest or the file's arguments say it
    mlp_dim: Size
    grid: tuple[Size, Size]  # (h, w) of the positional table
    cls_token: bool = True
    registers: Tokens = 0
    positions: bool = True  # a learned positional table
    prefix_positions: bool = True  # the table covers class and register tokens too
    final_norm: bool = True
    layer_scale: bool = False
    qkv_bias: bool = True
    norm_eps: Epsilon = 1e-6
    activation: Activation = "gelu"  # of the MLPs; weights do not tell it
    class_attention: Tokens = 0  # SelfPatch's aggregation blocks on top

    @property
    def prefix_tokens(self) -> int:
        """Class and register tokens before the patches."""
        return int(self.cls_token) + self.registers

    def describe(self) -> str:
        """Describe the architecture in words."""
        prefix = [
            *(["a class token"] if self.cls_token else []),
            *([f"{self.registers} registers"] if self.registers else []),
        ]
        return (
            f"{self.name}: patch {self.patch_size}, D {self.embed_dim}, {self.depth} blocks, "
            f"grid {self.grid[0]} x {self.grid[1]}, {' and '.join(prefix) or 'no prefix token'}, "
            f"{'a' if self.final_norm else 'no'} final norm"
            f"{'' if self.activation == 'gelu' else f', activation {self.activation}'}"
        )


def parse_architecture(arch: str) -> Architecture | None:
    """Return the architecture of a name, without weights, or None if it is none of ours.

    Args:
        arch: `vit_{micro|mini|tiny|small|base|large}_patch{pixels}_{image size}`.
    """
    match = GRAMMAR.fullmatch(arch)
    if match is None or match["size"] not in VIT_SIZES or int(match["image"]) < int(match["patch"]):
        return None
    dim, depth, heads = VIT_SIZES[match["size"]]
    patch = int(match["patch"])
    side = int(match["image"]) // patch
    return Architecture(
        name=arch,
        patch_size=patch,
        embed_dim=dim,
        depth=depth,
        heads=heads,
        mlp_dim=4 * dim,
        grid=(side, side),
    )


def infer(shapes: Mapping[str, Shape], *, heads: int, name: str) -> Architecture:
    """Read an architecture from the shapes of a state dict; only the heads must be told.

    Args:
        shapes: Shape of every tensor, by timm's names.
        heads: Attention heads in a block.
        name: Name to give the architecture.

    Raises:
        StateMismatch: If these are not the weights of a Vision Transformer.
    """
    try:
        dim, _, patch, patch_w = shapes["patch_embed.proj.weight"]
        mlp_dim = shapes["blocks.0.mlp.fc1.weight"][0]
        registers = shapes["reg_token"][1] if "reg_token" in shapes else 0
        positions = shapes["pos_embed"][1] if "pos_embed" in shapes else 0
    except (KeyError, ValueError, IndexError) as error:
        family = family_of_keys(shapes)
        raise StateMismatch(
            f"{name}: these are weights of {family}, which is no plain ViT or Swin."
            if family
            else f"{name}: these are not the weights of a Vision Transformer.",
            expected="patch_embed.proj.weight (D, 3, p, p), blocks.0.mlp.fc1.weight, …",
            found=listed([f"{key} {shape}" for key, shape in shapes.items()]),
            hint=hint_for(family) if family else "",
        ) from error
    if patch != patch_w:
        raise StateMismatch(f"{name}: patches of {patch} x {patch_w} pixels are not square.")
    cls_token = "cls_token" in shapes
    prefix = int(cls_token) + registers
    grid, prefix_positions = _grid(positions, prefix, name)
    return Architecture(
        name=name,
        patch_size=patch,
        embed_dim=dim,
        depth=count_blocks(shapes, "blocks."),
        heads=heads,
        mlp_dim=mlp_dim,
        grid=grid,
        cls_token=cls_token,
        registers=registers,
        positions=positions > 0,
        prefix_positions=prefix_positions,
        final_norm="norm.weight" in shapes,
        layer_scale=any(key.endswith(".ls1.gamma") for key in shapes),
        qkv_bias=any(key.endswith(".attn.qkv.bias") for key in shapes),
        class_attention=count_blocks(shapes, "ca_head.cls_blocks."),
    )


def count_blocks(shapes: Mapping[str, Shape], prefix: str) -> int:
    """Count the blocks whose names begin with a prefix."""
    starts = (key.removeprefix(prefix) for key in shapes if key.startswith(prefix))
    return len({start.split(".")[0] for start in starts})


def _grid(positions: int, prefix: int, name: str) -> tuple[tuple[int, int], bool]:
    """Return the grid of a table of so many positions, and whether it covers the prefix."""
    for covered in (prefix, 0) if positions else ():
        side = math.isqrt(max(positions - covered, 0))
        if side and side * side == positions - covered:
            return (side, side), covered > 0
    if not positions:
        return (14, 14), False
    raise StateMismatch(
        f"{name}: {positions} positions are no square grid, with or without the "
        f"{prefix} prefix tokens."
    )
