"""The augmentation of pretraining on a whole batch at once, on the device that trains."""

import dataclasses
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vitbench.data.blur import blur, box_reach
from vitbench.data.color import HUE, change, jitter, per_crop, solarize, to_gray
from vitbench.data.crop_resize import crop_each, crop_packed
from vitbench.data.multicrop import GLOBAL_CROPS, CropDraws, Floats, Ints, MultiCrop
from vitbench.data.pil_augment import MEAN, STD
from vitbench.data.sizes import Pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU_CHUNK = 1_200_000  # values taken through all steps before the next ones: they stay in cache
KEPT_BYTES = 31 << 20  # glibc hands small blocks back to the system until such a one was freed
PACK_TO = 64  # sides of packed images are rounded up to this, so that they fall into few groups
NORMS = tuple(zip(MEAN, STD, strict=True))
SCALE, SHIFT = (  # (3, 1, 1) from 0 to 255 to ImageNet's mean and deviation
    torch.tensor(values).view(3, 1, 1)
    for values in (
        [1 / (255 * std) for _, std in NORMS],
        [mean / std for mean, std in NORMS],
    )
)


@dataclass(frozen=True, slots=True)
class Pack:
    """Images of similar size as one tensor on the device."""

    rows: list[int]  # which images of the batch
    pixels: Tensor  # (b, H, W, 3) uint8, anything on the right and below


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


def augment_packs(packs: list[Pack], crops: MultiCrop, draws: CropDraws) -> list[Tensor]:
    """Make all crops of a batch where its packed images lie; arguments and result as above."""
    device = packs[0].pixels.device
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    planes = [
        pack.pixels.permute(0, 3, 1, 2).to(dtype, memory_format=torch.contiguous_format)
        for pack in packs
    ]
    scale, shift = (facts.to(device, non_blocking=True) for facts in (SCALE, SHIFT))
    made: list[Tensor] = []
    for views, size in groups(crops):
        shape = (views.stop - views.start, len(draws.flip), 3, size, size)
        out = torch.empty(shape, device=device)
        for pack, pixels in zip(packs, planes, strict=True):
            box, flip, rows = (
                torch.from_numpy(values).to(device, non_blocking=True)
                for values in (
                    draws.box[pack.rows, views], draws.flip[pack.rows, views], np.array(pack.rows)
                )
            )  # fmt: skip
            cut = crop_packed(pixels, box, flip, size, kind=crops.interpolation)
            out[:, rows] = cut.transpose(0, 1).float().round_()
        finish(out.flatten(0, 1), crop_major(draws, views))
        made += out.mul_(scale).sub_(shift).unbind(0)
    return made


def pack_images(images: list[Pixels], device: torch.device) -> list[Pack]:
    """Send images to a device, those of similar size padded to one tensor."""
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        height, width = image.shape[:2]
        alike[-(-height // PACK_TO) * PACK_TO, -(-width // PACK_TO) * PACK_TO].append(index)
    packs = []
    for (height, width), rows in alike.items():
        pinned = device.type == "cuda"
        padded = torch.empty(len(rows), height, width, 3, dtype=torch.uint8, pin_memory=pinned)
        for slot, row in zip(padded, rows, strict=True):
            pixels = torch.from_numpy(images[row])
            slot[: pixels.shape[0], : pixels.shape[1]] = pixels
        packs.append(Pack(rows, padded.to(device, non_blocking=True)))
    return packs


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
