"""The augmentation of pretraining on a whole batch at once, on a CPU: parts that stay in cache."""

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vitbench.data.blur import blur, box_reach
from vitbench.data.color import HUE, change, jitter, per_crop, solarize, to_gray
from vitbench.data.crop_resize import crop_each
from vitbench.data.multicrop import GLOBAL_CROPS, CropDraws, Floats, Ints, MultiCrop
from vitbench.data.pil_augment import MEAN, STD
from vitbench.data.sizes import Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU_CHUNK = 1_200_000  # values taken through all steps before the next ones: they stay in cache
KEPT_BYTES = 31 << 20  # glibc hands small blocks back to the system until such a one was freed
NORMS = tuple(zip(MEAN, STD, strict=True))
SCALE, SHIFT = (  # (3, 1, 1) from 0 to 255 to ImageNet's mean and deviation
    torch.tensor(values).view(3, 1, 1)
    for values in (
        [1 / (255 * std) for _, std in NORMS],
        [mean / std for mean, std in NORMS],
    )
)


def augment_batch(images: list[Pixels], crops: MultiCrop, draws: CropDraws) -> list[Tensor]:
    """Make all crops of a batch on the CPU.

    Args:
        images: B decoded images, each uint8 of shape (H, W, 3).
        crops: The settings.
        draws: The parameters.

    Returns:
        One normalized float32 tensor (B, 3, S, S) for each crop, global crops first.
    """
    torch.empty(KEPT_BYTES, dtype=torch.uint8)
    B = len(images)
    made: list[Tensor] = []
    for views, size in groups(crops):
        flat = crop_major(draws, views)
        count = len(flat.flip)
        out = [torch.empty(B, 3, size, size) for _ in range(count // B)]
        step = max(1, CPU_CHUNK // (3 * size * size))
        for rows in np.split(like_with_like(flat), range(step, count, step)):
            part = torch.empty(len(rows), 3, size, size)
            of_part = pick(flat, rows)
            sources = [images[row % B] for row in rows]
            crop_each(sources, of_part.box, of_part.flip, part, kind=crops.interpolation)
            finish(part, of_part)
            for row, crop in zip(rows, part, strict=True):
                torch.mul(crop, SCALE, out=out[row // B][row % B]).sub_(SHIFT)
        made += out
    return made


def finish(crops: Tensor, draws: CropDraws) -> None:
    """Color, blur and solarize crops in place.

    Args:
        crops: Cut-out crops (n, 3, S, S), float, whole numbers 0 to 255.
        draws: Their parameters, every array starting with (n,).
    """
    jitter(crops, draws.jitter, draws.order, draws.factors)
    change(crops, draws.gray, to_gray)
    blur_some(crops, draws.blur_radius)
    change(crops, draws.solarize, solarize)


def blur_some(crops: Tensor, radius: Floats) -> None:
    """Blur each crop by its radius, shape (n,); 0 leaves it as it is."""
    reach, radii = box_reach(radius), per_crop(radius, crops)
    for size in np.unique(reach[reach > 0]).tolist():
        change(crops, reach == size, partial(blur, reach=size), radii)


def like_with_like(draws: CropDraws) -> Ints:
    """Order crops so that those which need the same steps lie together; shape (n,)."""
    order = np.where(draws.jitter[:, None], draws.order, HUE + 1)
    turn = (order == HUE).argmax(axis=1)
    keys = (draws.gray, *order.T[::-1], turn, draws.jitter, box_reach(draws.blur_radius))
    return np.lexsort(keys)


def groups(crops: MultiCrop) -> list[tuple[slice, int]]:
    """Give the crops of one size that follow one another, and the size."""
    found = [(slice(0, GLOBAL_CROPS), crops.global_size)]
    if crops.local_crops:
        found.append((slice(GLOBAL_CROPS, len(crops.sizes)), crops.local_size))
    return found


def crop_major(draws: CropDraws, views: slice) -> CropDraws:
    """Lay the parameters (B, V, …) of some crops out as (V*B, …), all images of a crop in a row."""
    return _map(draws, lambda it: it[:, views].swapaxes(0, 1).reshape(-1, *it.shape[2:]))


def pick(draws: CropDraws, rows: Ints) -> CropDraws:
    """Take the parameters of some crops."""
    return _map(draws, lambda values: values[rows])


def _map(draws: CropDraws, part: "Any") -> CropDraws:
    names = [field.name for field in dataclasses.fields(CropDraws)]
    found: dict[str, NDArray[Any]] = {name: part(getattr(draws, name)) for name in names}
    return CropDraws(**found)
