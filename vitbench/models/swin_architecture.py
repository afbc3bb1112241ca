"""Shape of a Swin Transformer: named by the user, or inferred from a state dict."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from vitbench.errors import StateMismatch, listed
from vitbench.models.architecture import Shape, count_blocks
from vitbench.models.constants import SWIN_SIZES
from vitbench.models.limits import Blocks, Epsilon, Heads, Size, Tokens

PerStage = tuple[int, ...]
GRAMMAR = re.compile(r"swin_(?P<size>\w+)_patch(?P<patch>\d+)_window(?P<window>\d+)_(?P<image>\d+)")
NATIVE_PX = 224  # where nothing says another


@dataclass(frozen=True, slots=True, kw_only=True)
class SwinArchitecture:
    """Everything needed to build a Swin Transformer, but its weights."""

    name: str
    patch_size: Size  # pixels of a token of the first stage
    embed_dim: Size  # D of the first stage; each later one has twice its predecessor's
    depths: tuple[Blocks, ...]  # blocks of each stage
    heads: tuple[Heads, ...]  # attention heads of each stage
    window: Size  # tokens of a window's sides
    image_px: Size = NATIVE_PX  # decides which stages are one window, and so never shift
    norm_eps: Epsilon = 1e-6
    class_attention: Tokens = 0  # SelfPatch's aggregation blocks on top

    @property
    def grids(self) -> tuple[int, ...]:
        """Tokens of the native grid's sides, stage by stage."""
        first = self.image_px // self.patch_size
        return tuple(math.ceil(first / 2**stage) for stage in range(len(self.depths)))

    def describe(self) -> str:
        """Describe the architecture in words."""
        return (
            f"{self.name}: patch {self.patch_size}, stages of {'-'.join(map(str, self.depths))} "
            f"blocks, D {self.embed_dim} to {self.embed_dim * 2 ** (len(self.depths) - 1)}, "
            f"window {self.window}, native {self.image_px} px, no prefix token, a final norm"
        )


def parse_swin(arch: str) -> SwinArchitecture | None:
    """Return the architecture of a name, without weights, or None if it is none of ours.

    Args:
        arch: `swin_{mini|tiny|small|base|large}_patch{pixels}_window{tokens}_{image size}`.
    """
    match = GRAMMAR.fullmatch(arch)
    if match is None or match["size"] not in SWIN_SIZES:
        return None
    dim, depths, heads = SWIN_SIZES[match["size"]]
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
        window = _window(shapes, 0)
        heads = tuple(count for _, count in tables)
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
        heads=heads,
        window=window,
        image_px=image_px,
        norm_eps=norm_eps,
        class_attention=count_blocks(shapes, "ca_head.cls_blocks."),
    )


def native_px(shapes: Mapping[str, Shape], buffers: Mapping[str, Shape]) -> tuple[int, str]:
    """Return the image size that a Swin was made for, and which tensors tell it.

    The size decides which stages are one window: they never shift, and a stage that is smaller than
    the window has a smaller table of biases. The masks of shifted windows, which the official code
    saves, count the windows of a stage.

    Args:
        shapes: Shape of every tensor, by the official names.
        buffers: Shapes of the masks, where the file has them.

    Returns:
        The size in pixels, and who says it: the masks, the tables, or "" if nothing does. Then it
        is the size at which the last stage is one window.
    """
    patch = shapes["patch_embed.proj.weight"][-1]
    windows = [_window(shapes, stage) for stage in range(count_blocks(shapes, "layers."))]
    for stage, window in enumerate(windows):
        count = (buffers.get(f"layers.{stage}.blocks.1.attn_mask") or (0,))[0]
        side = math.isqrt(count)
        if side and side * side == count:
            return patch * 2**stage * window * side, "the masks of its windows"
    stage = len(windows) - 1
    told = "the last stage's table of biases" if windows[-1] < windows[0] else ""
    return patch * 2**stage * windows[-1], told


def _window(shapes: Mapping[str, Shape], stage: int) -> int:
    rows = shapes[f"layers.{stage}.blocks.0.attn.relative_position_bias_table"][0]
    return (math.isqrt(rows) + 1) // 2  # a table has (2 window - 1)^2 rows
