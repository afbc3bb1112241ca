"""The colors of all crops of a batch at once, however their changes are ordered and combined.

Pixels lie as (3, P), all crops one after another, in tiles of which every crop has a whole number.
Brightness, contrast, saturation and gray are one formula with other numbers, so a round of it
changes every crop, each in its own way.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.data.color import BRIGHTNESS, CONTRAST, HUE, LUMA, SATURATION, hue
from vitbench.data.multicrop import CropDraws, Ints

BEFORE = HUE  # at most so many changes stand before the hue's, and as many after it
NO_SOLARIZE = 512.0  # above 255 + 255: the smaller of x and this minus x is x


@dataclass(frozen=True, slots=True)
class Colors:
    """What the device has to know of the colors of n crops."""

    rounds: NDArray[np.float32]  # (2 * BEFORE + 1, 4, tiles): of itself, of gray, of level, offset
    hue: NDArray[np.float32]  # (tiles with another hue,) share of the circle
    turned: NDArray[np.int32]  # which tiles those are
    solarize: NDArray[np.float32]  # (tiles,)
    of_tile: NDArray[np.int32]  # (tiles,) the crop of each
    tile: int  # pixels

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """What the device gets."""
        names = ("rounds", "hue", "turned", "solarize", "of_tile")
        return {name: getattr(self, name) for name in names} | {"luma": np.array(LUMA, np.float32)}


def colors(draws: CropDraws, sizes: Ints) -> Colors:
    """Plan the colors of crops, every array of the draws (n, …), crops of S x S pixels each."""
    pixels = sizes**2
    tile = math.gcd(*map(int, np.unique(pixels)))
    crop = np.repeat(np.arange(len(sizes)), pixels // tile)
    turned = np.flatnonzero(draws.jitter[crop])
    return Colors(
        rounds=_rounds(draws)[..., crop].astype(np.float32),
        hue=draws.factors[crop[turned], HUE].astype(np.float32),
        turned=turned.astype(np.int32),
        solarize=np.where(draws.solarize, 255.0, NO_SOLARIZE)[crop].astype(np.float32),
        of_tile=crop.astype(np.int32),
        tile=tile,
    )


def _rounds(draws: CropDraws) -> NDArray[np.float64]:
    """Return the numbers of every round of each crop: those before the hue's, after it, gray."""
    n = len(draws.gray)
    found = np.zeros((2 * BEFORE + 1, 4, n))
    found[:, 0] = 1
    turn = (draws.order == HUE).argmax(axis=1)
    every = np.arange(n)
    for place in range(draws.order.shape[1]):
        number = draws.order[:, place]
        factor = draws.factors[every, number]
        which = np.where(place < turn, place, BEFORE + place - turn - 1)
        for change, of in ((BRIGHTNESS, None), (CONTRAST, 2), (SATURATION, 1)):
            mine = np.flatnonzero((number == change) & draws.jitter)
            found[which[mine], 0, mine] = factor[mine]
            if of is not None:
                found[which[mine], of, mine] = 1 - factor[mine]
    gray = np.flatnonzero(draws.gray)
    found[-1][:, gray] = np.array([0, 1, 0, 0.5])[:, None]  # rounded, not cut off
    return found


def jitter(
    pixels: Tensor, plan: Colors, sent: dict[str, Tensor], groups: list[tuple[int, int]]
) -> None:
    """Change brightness, contrast, saturation and hue in each crop's own order, then make gray.

    Args:
        pixels: Float (3, P), whole numbers 0 to 255; changed in place.
        plan: The changes.
        sent: `Colors.arrays` on the device.
        groups: How many crops of which number of pixels, one after another.
    """
    tiles = pixels.view(3, -1, plan.tile)
    for number, numbers in enumerate(sent["rounds"]):
        if number == BEFORE and len(plan.turned):
            part = tiles[:, sent["turned"]]
            hue(part[None], sent["hue"][None, None, :, None])
            tiles[:, sent["turned"]] = part
        blend(pixels, tiles, numbers, sent["of_tile"], groups, sent["luma"])


def blend(
    pixels: Tensor,
    tiles: Tensor,
    numbers: Tensor,
    crop: Tensor,
    groups: list[tuple[int, int]],
    luma: Tensor,
) -> None:
    """Replace each pixel by a sum of itself, its gray, the mean gray of its crop, and a number."""
    own, of_gray, of_level, offset = numbers[:, :, None]  # (tiles, 1) each
    gray = luma @ pixels
    runs = torch.split(gray, [count * size for count, size in groups])
    means = [run.view(count, size).mean(1) for run, (count, size) in zip(runs, groups, strict=True)]
    level = torch.cat(means).add_(0.5).floor_()[crop]
    rest = torch.addcmul(offset, of_level, level[:, None])
    rest = torch.addcmul(rest, of_gray, gray.view(tiles.shape[1:]))
    torch.addcmul(rest, tiles, own, out=tiles).clamp_(0, 255).floor_()


def solarize(tiles: Tensor, limit: Tensor) -> None:
    """Take the smaller of each value and its tile's limit minus it."""
    torch.minimum(tiles, limit[:, None] - tiles, out=tiles)
