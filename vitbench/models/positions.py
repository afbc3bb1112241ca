"""Resize a learned position table to another grid by one of four named rules."""

import math

from torch import Tensor
from torch.nn import functional

from vitbench.errors import SettingError
from vitbench.models.constants import PositionRule


def resize_positions(
    table: Tensor,
    native: tuple[int, int],
    grid: tuple[int, int],
    rule: PositionRule,
    *,
    square: bool,
) -> Tensor:
    """Resize the patch part of a positional table to the grid of an image.

    The rules differ in which source coordinate an output token samples, and thus in numbers:

    - `dino`: scale factor (n + 0.1) / native, and that inexact factor maps the coordinates. The
      table is used as it is only if the token count is native and the *image* is square.
    - `size`: resized to the target size, exact factor (mmsegmentation, DINOv2 today).
    - `esvit`: one factor for both directions, the root of the ratio of token counts.
    - `timm`: to the target size, with antialiasing.
    - `none`: the table serves its native grid only.

    Args:
        table: Positions of the patches in row-major order, (1, native h * w, D).
        native: Grid (h, w) that the table was learned on.
        grid: Grid (h, w) of the image.
        rule: How to resize.
        square: Whether the image's height and width in *pixels* are equal; for `dino`.

    Returns:
        Positions (1, h * w, D).

    Raises:
        SettingError: If the rule can't serve this grid.

    Source:
        facebookresearch/dino vision_transformer.py (7c446df); microsoft/esvit
        models/vision_transformer.py (2d6becd); mmsegmentation resize_pos_embed; timm
        layers/pos_embed.py.
    """
    same = grid == native
    tokens, h, w = table.shape[1], *grid
    if rule == "dino":
        as_it_is = h * w == tokens and square
        factor = ((h + 0.1) / native[0], (w + 0.1) / native[1])
        return table if as_it_is else _bicubic(table, native, scale_factor=factor)
    if rule == "esvit":
        if h != w or native[0] != native[1]:
            raise SettingError(
                [f"position rule 'esvit' knows square grids only, found {h} x {w}"],
                hint="--position-rule size",
            )
        root = math.sqrt(h * w / tokens)
        return table if same else _bicubic(table, native, scale_factor=(root, root))
    if same:
        return table
    if rule == "none":
        raise SettingError(
            [f"position rule 'none' serves the grid {native[0]} x {native[1]} only, "
             f"found {h} x {w}"],
            hint="--position-rule dino, or images of the native size",
        )  # fmt: skip
    return _bicubic(table, native, size=grid, antialias=rule == "timm")


def _bicubic(
    table: Tensor,
    native: tuple[int, int],
    *,
    size: tuple[int, int] | None = None,
    scale_factor: tuple[float, float] | None = None,
    antialias: bool = False,
) -> Tensor:
    maps = table.float().transpose(1, 2).reshape(1, -1, *native)  # (1, D, h, w)
    resized = functional.interpolate(
        maps, size=size, scale_factor=scale_factor, mode="bicubic", antialias=antialias
    )
    return resized.flatten(2).transpose(1, 2).to(table.dtype)
