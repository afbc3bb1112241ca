"""Maps of any stride on a common grid: nothing moves on the image, nothing is skipped."""

import torch
from torch import Tensor

from vitbench.models.map_grid import in_cells, on_grid


def ramp(cells: int, px: int) -> Tensor:
    """Return a map whose value is the row in pixels at the middle of each cell."""
    return ((torch.arange(cells) + 0.5) * px)[None, None, :, None].expand(1, 1, cells, cells)


def test_a_map_of_the_grid_stays_the_same_tensor() -> None:
    maps = torch.rand(1, 3, 4, 6)
    assert on_grid(maps, (4, 6)) is maps
    assert in_cells(maps, (64, 96), 16, (4, 6)) is maps


def test_places_on_the_image_stay_where_they_are() -> None:
    found = on_grid(ramp(16, 14), (14, 14))  # 224 px either way
    torch.testing.assert_close(found[0, 0, 2:-2, 0], ramp(14, 16)[0, 0, 2:-2, 0], atol=1, rtol=0)


def test_what_lies_beyond_the_grid_is_left_out() -> None:
    maps = ramp(7, 14)  # 98 px, of which the image has 96
    found = in_cells(maps, (98, 98), 16, (6, 6))
    assert found.shape == (1, 1, 6, 6)
    torch.testing.assert_close(found[0, 0, 1:-1, 0], ramp(6, 16)[0, 0, 1:-1, 0], atol=1, rtol=0)


def test_a_map_that_shrinks_skips_nothing() -> None:
    spike = torch.zeros(1, 1, 12, 12)
    spike[0, 0, 1, 1] = 1
    assert on_grid(spike, (3, 3))[0, 0, 0, 0] > 0


def test_the_precision_stays() -> None:
    assert on_grid(torch.rand(1, 1, 4, 4).bfloat16(), (2, 2)).dtype == torch.bfloat16
