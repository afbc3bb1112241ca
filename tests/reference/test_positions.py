"""The positional rules against the tables that the official code computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from vitbench.errors import SettingError
from vitbench.models.constants import PositionRule
from vitbench.models.positions import resize_positions

VALUES = Path(__file__).parent / "values"


def compare(file: str, key: str, pixels: tuple[int, int], patch: int, rule: PositionRule) -> None:
    stored = np.load(VALUES / file, allow_pickle=False)
    table, expected = torch.from_numpy(stored["pos_embed"]), torch.from_numpy(stored[key])
    prefix = 0 if file == "pos_embed_mmseg.npz" else 1
    side = round((table.shape[1] - prefix) ** 0.5)
    grid = (pixels[0] // patch, pixels[1] // patch)
    found: Tensor = resize_positions(
        table[:, prefix:], (side, side), grid, rule, square=pixels[0] == pixels[1]
    )
    torch.testing.assert_close(found, expected[:, prefix:], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "pixels",
    [(224, 224), (96, 96), (480, 832), (480, 640), (480, 896), (512, 512), (800, 1088),
     (256, 512), (224, 240), (112, 112)],
)  # fmt: skip
def test_dino_rule_equals_the_official_one(pixels: tuple[int, int]) -> None:
    compare("pos_embed_dino.npz", f"pos_{pixels[0]}x{pixels[1]}", pixels, 16, "dino")


@pytest.mark.parametrize("pixels", [(96, 96), (480, 832)])
def test_dino_rule_equals_the_official_one_for_patch_8(pixels: tuple[int, int]) -> None:
    compare("pos_embed_dino_p8.npz", f"pos_{pixels[0]}x{pixels[1]}", pixels, 8, "dino")


@pytest.mark.parametrize("side", [224, 96])
def test_esvit_rule_equals_the_official_one(side: int) -> None:
    compare("pos_embed_esvit.npz", f"pos_{side}", (side, side), 16, "esvit")


@pytest.mark.parametrize("grid", [(32, 32), (30, 52)])
def test_size_rule_equals_mmsegmentation(grid: tuple[int, int]) -> None:
    pixels = (grid[0] * 16, grid[1] * 16)
    compare("pos_embed_mmseg.npz", f"pos_{grid[0]}x{grid[1]}", pixels, 16, "size")


def test_timm_rule_equals_timm() -> None:
    from timm.layers.pos_embed import resample_abs_pos_embed

    table = torch.randn(1, 196, 6, generator=torch.Generator().manual_seed(0))
    found = resize_positions(table, (14, 14), (6, 9), "timm", square=False)
    expected = resample_abs_pos_embed(table, [6, 9], [14, 14], num_prefix_tokens=0)
    torch.testing.assert_close(found, expected)


def test_esvit_rule_refuses_a_grid_that_is_not_square() -> None:
    with pytest.raises(SettingError, match="square"):
        resize_positions(torch.zeros(1, 16, 2), (4, 4), (3, 5), "esvit", square=False)


def test_no_rule_serves_the_native_grid_only() -> None:
    table = torch.zeros(1, 16, 2)
    assert resize_positions(table, (4, 4), (4, 4), "none", square=True) is table
    with pytest.raises(SettingError, match="4 x 4 only"):
        resize_positions(table, (4, 4), (5, 5), "none", square=True)
