"""The augmentation of pretraining for a device where launches are dear: a whole batch at once.

The same crops as `batched_augment`'s, in a fixed number of steps, from one upload.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vitbench.data.batched_augment import SCALE, SHIFT, crop_major, groups
from vitbench.data.blur import box_radius, box_reach, operator
from vitbench.data.multicrop import CropDraws, MultiCrop
from vitbench.data.packed_color import colors, jitter, solarize
from vitbench.data.packed_resize import UNIT, Groups, Shelf, cuts, resize
from vitbench.data.sizes import Pixels
from vitbench.data.upload import Parcel


def augment_packed(
    images: Sequence[Pixels | Tensor], crops: MultiCrop, draws: CropDraws, device: torch.device
) -> list[Tensor]:
    """Make all crops of a batch on a device.

    Args:
        images: B decoded images, each uint8 of shape (H, W, 3): arrays, or tensors on the device.
        crops: The settings.
        draws: The parameters.
        device: Where.

    Returns:
        One normalized float32 tensor (B, 3, S, S) for each crop, global crops first.
    """
    kinds = groups(crops)
    flat = joined([crop_major(draws, views) for views, _ in kinds])
    counts = [(len(images) * (views.stop - views.start), size) for views, size in kinds]
    image = np.tile(np.arange(len(images)), len(flat.flip) // len(images))
    shelf = Shelf.of(images)
    plan = cuts(shelf, image, flat.box, flat.flip, counts, crops.interpolation)
    colored, blurred = colors(flat, plan.sizes), blurs(flat, counts)
    arrays = {**plan.arrays, **colored.arrays, "shift": -SHIFT.numpy(), "scale": SCALE.numpy()}
    for group, each in enumerate(blurred):
        arrays |= {f"{name}{group}": part for name, part in each.items()}
    sent, table = upload(arrays, shelf, images, device)
    cut = resize(table.view(-1, UNIT * 3).float(), plan, sent, crops.interpolation)
    sizes = [count * size * size for count, size in counts]
    pixels = torch.empty(3, sum(sizes), device=device)
    parts = [
        part.view(3, count, size, size)
        for part, (count, size) in zip(torch.split(pixels, sizes, dim=1), counts, strict=True)
    ]
    for part, found in zip(parts, cut, strict=True):
        part.copy_(found.permute(3, 0, 2, 1))
    pixels.round_().clamp_(0, 255)
    jitter(pixels, colored, sent, [(count, size * size) for count, size in counts])
    reach = int(box_reach(flat.blur_radius).max())
    for group, part in enumerate(parts):
        blur(part, sent[f"blurred{group}"], sent[f"radius{group}"], reach)
    solarize(pixels.view(3, -1, colored.tile), sent["solarize"])
    made: list[Tensor] = []
    for part in parts:
        out = torch.empty(
            part.shape[1] // len(images), len(images), 3, *part.shape[2:], device=device
        )
        views = part.view(3, *out.shape[:2], *part.shape[2:]).permute(1, 2, 0, 3, 4)
        torch.addcmul(sent["shift"], views, sent["scale"], out=out)
        made += out.unbind(0)
    return made


def upload(
    arrays: dict[str, NDArray[Any]],
    shelf: Shelf,
    images: Sequence[Pixels | Tensor],
    device: torch.device,
) -> tuple[dict[str, Tensor], Tensor]:
    """Send what the device must know, and with it, in one copy, images that are not there yet.

    Returns:
        The arrays, and the table of the images, uint8 (rows, UNIT, 3), on the device.
    """
    if isinstance(images[0], Tensor):
        table = torch.empty(shelf.shape, dtype=torch.uint8, device=device)
        shelf.fill(table, images)
        return Parcel(arrays, device).send(), table
    parcel = Parcel(arrays, device, empty={"images": (np.uint8, shelf.shape)})
    shelf.fill(parcel["images"], images)
    sent = parcel.send()
    return sent, sent["images"]


def joined(parts: list[CropDraws]) -> CropDraws:
    """Put the parameters of crops one after another."""
    names = [field.name for field in dataclasses.fields(CropDraws)]
    return CropDraws(**{n: np.concatenate([getattr(part, n) for part in parts]) for n in names})


def blurs(draws: CropDraws, groups: Groups) -> list[dict[str, NDArray[Any]]]:
    """Return which crops of each group are blurred, and by what radius of the boxes."""
    found, at = [], 0
    for count, _ in groups:
        radius = draws.blur_radius[at : at + count]
        mine = np.flatnonzero(radius)
        soft = box_radius(radius[mine]).astype(np.float32)
        found.append({"blurred": mine.astype(np.int32), "radius": soft})
        at += count
    return found


def blur(crops: Tensor, which: Tensor, soft: Tensor, reach: int) -> None:
    """Blur some crops of (3, n, S, S) in place, by the radius of their boxes."""
    if not len(which):
        return
    part = crops[:, which]
    weights = operator(soft, reach, crops.shape[-1])
    crops[:, which] = (weights @ part @ weights.mT).add_(0.5).floor_()
