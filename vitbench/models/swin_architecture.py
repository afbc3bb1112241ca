"""Shape of a Swin Transformer: named by the user, or inferred from a state dict."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vitbench.errors import StateMismatch, listed
from vitbench.models.architecture import Shape, count_blocks

PerStage = tuple[int, ...]
SIZES: dict[str, tuple[int, PerStage, PerStage]] = {  # D of the first stage, blocks, heads of each
    "mini": (32, (1, 1, 2, 1), (1, 2, 4, 8)),
    "tiny": (96, (2, 2, 6, 2), (3, 6, 12, 24)),
    "small": (96, (2, 2, 18, 2), (3, 6, 12, 24)),
    "base": (128, (2, 2, 18, 2), (4, 8, 16, 32)),
}
GRAMMAR = re.compile(r"swin_(?P<size>\w+)_patch(?P<patch>\d+)_window(?P<window>\d+)_(?P<image>\d+)")
NATIVE_PX = 224  # where nothing says another


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinArchitecture:
    """Everything needed to build a Swin Transformer, but its weights."""

    name: str
    patch_size: int  # pixels of a token of the first stage
    embed_dim: int  # D of the first stage; each later one has twice its predecessor's
    depths: tuple[int, ...]  # blocks of each stage
    heads: tuple[int, ...]  # attention heads of each stage
    window: int  # tokens of a window's sides
    image_px: int = NATIVE_PX  # decides which stages are one window, and so never shift
    norm_eps: float = 1e-6
    class_attention: int = 0  # SelfPatch's aggregation blocks on top

    @property
    def grids(self) -> tuple[int, ...]:
        """Tokens of the native grid's sides, stage by stage."""
        first = self.image_px // self.patch_size
        return tuple(math.ceil(first / 2**stage) for stage in range(len(self.depths)))

    def describe(self) -> str:
        """Say it in words."""
        return (
            f"{self.name}: patch {self.patch_size}, stages of {'-'.join(map(str, self.depths))} "
            f"blocks, D {self.embed_dim} to {self.embed_dim * 2 ** (len(self.depths) - 1)}, "
            f"window {self.window}, native {self.image_px} px, no prefix token, a final norm"
        )


def named_swin(arch: str) -> SwinArchitecture | None:
    """Return the architecture of a name, without weights, or None if it is none of ours.

    Args:
        arch: `swin_{mini|tiny|small|base}_patch{pixels}_window{tokens}_{image size}`.
    """
    match = GRAMMAR.fullmatch(arch)
    if match is None or match["size"] not in SIZES:
        return None
    dim, depths, heads = SIZES[match["size"]]
    return SwinArchitecture(
        name=arch,
        patch_size=int(match["patch"]),
        embed_dim=dim,
        depths=depths,
        heads=heads,
        window=int(match["window"]),
        image_px=int(match["image"]),
    )


def infer_swin(
    shapes: Mapping[str, Shape], *, image_px: int, norm_eps: float, name: str
) -> SwinArchitecture:
    """Read an architecture from the shapes of a state dict, heads included.

    Args:
        shapes: Shape of every tensor, by the official names.
        image_px: Native image size; weights do not tell.
        norm_eps: Of every norm; weights do not tell.
        name: Name to give the architecture.

    Raises:
        StateMismatch: If these are not the weights of a Swin Transformer.
    """
    try:
        dim, _, patch, _ = shapes["patch_embed.proj.weight"]
        stages = range(count_blocks(shapes, "layers."))
        tables = [
            shapes[f"layers.{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages
        ]
        window = (math.isqrt(tables[0][0]) + 1) // 2  # a table has (2 window - 1)^2 rows
    except (KeyError, ValueError, IndexError) as error:
        raise StateMismatch(
            f"{name}: these are not the weights of a Swin Transformer.",
            expected="patch_embed.proj.weight, layers.0.blocks.0.attn.relative_position_bias_table",
            found=listed(list(shapes)),
        ) from error
    return SwinArchitecture(
        name=name,
        patch_size=patch,
        embed_dim=dim,
        depths=tuple(count_blocks(shapes, f"layers.{stage}.blocks.") for stage in stages),
        heads=tuple(heads for _, heads in tables),
        window=window,
        image_px=image_px,
        norm_eps=norm_eps,
        class_attention=count_blocks(shapes, "ca_head.cls_blocks."),
    )
