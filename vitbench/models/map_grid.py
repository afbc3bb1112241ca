"""Feature maps of any stride brought to the cells of a grid that networks share."""

from torch import Tensor
from torch.nn import functional

Size = tuple[int, int]  # (height, width)


def on_grid(maps: Tensor, grid: Size) -> Tensor:
    """Resize maps to a grid that covers the same image, bilinearly.

    Where a map shrinks, every cell is a weighted mean over what it covers (the filter of Pillow's
    bilinear), so that no feature is skipped. Maps of the grid's own size stay as they are.

    Args:
        maps: (B, D, h, w).
        grid: (h, w) of the result.

    Returns:
        (B, D, h, w) of the grid.
    """
    if tuple(maps.shape[-2:]) == grid:
        return maps
    return functional.interpolate(
        maps.float(), size=grid, mode="bilinear", align_corners=False, antialias=True
    ).to(maps.dtype)


def in_cells(maps: Tensor, covered: Size, cell_px: int, grid: Size) -> Tensor:
    """Resample maps to cells of a size in pixels, without moving anything on the image.

    As `on_grid`, but the maps may cover more of the image than the grid does, below and to the
    right: what is beyond the grid is left out.

    Args:
        maps: (B, D, h, w).
        covered: Pixels (H, W) of the image that the maps lie over.
        cell_px: Side of a cell in pixels.
        grid: (h, w) of the result; `cell_px` times it is at most `covered`.

    Returns:
        (B, D, h, w) of the grid.
    """
    if covered == (grid[0] * cell_px, grid[1] * cell_px):
        return on_grid(maps, grid)
    # a little more than the ratio, so that rounding loses no whole cell
    scale = [
        px / side / cell_px * (1 + 1e-9) for px, side in zip(covered, maps.shape[-2:], strict=True)
    ]
    resized = functional.interpolate(
        maps.float(), scale_factor=scale, mode="bilinear", antialias=True
    )
    return resized[..., : grid[0], : grid[1]].to(maps.dtype)
